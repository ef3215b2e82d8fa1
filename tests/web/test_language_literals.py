"""No text reaches a visitor untranslated: the pages' source is read for words outside of `_`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from glasschat import web

PAGES = Path(web.__file__).parent
FILES = sorted(path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.py"))
SCRIPTS = sorted(path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.js"))


TRANSLATES = {"_", "N_", "ngettext"}
# What Streamlit's commands show of their arguments.
SHOWN_METHODS = {
    "button", "caption", "chat_input", "checkbox", "dialog", "download_button", "error",
    "expander", "file_uploader", "header", "info", "link_button", "markdown", "menu_button",
    "metric", "multiselect", "number_input", "page_link", "popover", "progress", "radio",
    "segmented_control", "select_slider", "selectbox", "slider", "spinner", "status", "subheader",
    "success", "tabs", "text", "text_area", "text_input", "title", "toast", "toggle", "warning",
    "write", "pills", "feedback",
}  # fmt: skip
SHOWN_NAMES = {"label", "help", "placeholder", "body", "text", "title", "page_title", "caption"}
# Names, and what is cited with its authors and year.
SAME_EVERYWHERE = re.compile(
    r"glasschat|English|OpenAI API|transformers, \w+|[A-Z][\w, ]+(?:et al\.|& \w+) \d{4}.*"
)
# Style and script are not read by visitors; what a script writes onto the page is looked for.
OF_THE_BROWSER = re.compile(r"(^|_)(HTML|CSS|JS|STYLE)$")
WRITTEN_BY_SCRIPT = re.compile(
    r"""(?:textContent|innerText|title|ariaLabel|placeholder|aria-label)\s*=\s*["'`]
            (?:\\u[\da-f]{4}|\\[^u]|[^"'`$\\])*?[A-Za-z]
        |(?:title|placeholder|"aria-label"):\s*["'`][^"'`$]*[A-Za-z]
        |button\(["'`](?!softmax")[^"'`$]*[A-Za-z]
        |>\s*[A-Za-z][^<>{}=;]*</""",
    re.VERBOSE,
)
# Events of a stream, a security policy, how long a file is kept.
OF_MACHINES = re.compile(r"event: \w+\n|[a-z]+-src |private, max-age=")
# A tag, unless a visitor reads one of its attributes.
TAG = re.compile(r"""<(?![^<>]*(?:title|alt|aria-label|placeholder)=["'][^"'{]*[A-Za-z])[^<>]*>""")
DECORATION = re.compile(r":material/\w+:|:[a-z]+(-background)?\[|:\w+:")
WORD = re.compile(r"[A-Za-z]{2}")
PROSE = re.compile(r"[A-Za-z]{2,}[,;:.]? [A-Za-z]{2,}")


def untranslated(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of what would be shown as it stands."""
    yield from _looked_at(ast.parse(source))


def _looked_at(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.Raise):
        return  # errors are English, and translated by their templates
    if isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and OF_THE_BROWSER.search(target.id) for target in node.targets
    ):
        for text in _texts(node.value):
            if found := WRITTEN_BY_SCRIPT.search(text):
                yield node.lineno, found[0]
        return
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        owner = getattr(getattr(node.func, "value", None), "id", "")
        if name in TRANSLATES:
            for argument in node.args:
                if isinstance(argument, ast.JoinedStr):
                    yield node.lineno, "an f-string, which no catalogue can have"
            return
        if owner in ("log", "logging") or name.endswith("Response"):
            return
        if name == "Message":
            return  # errors are English, and translated by their templates
        shown = [k.value for k in node.keywords if k.arg in SHOWN_NAMES]
        shown += node.args[:1] if name in SHOWN_METHODS else []
        shown += node.args[1:2] if name in ("selectbox", "segmented_control", "progress") else []
        for argument in shown:
            for text in _texts(argument):
                if WORD.search(_bare(text)) and not PROSE.search(_bare(text)):
                    yield node.lineno, text
    if isinstance(node, ast.Constant | ast.JoinedStr):
        for text in _texts(node):
            if PROSE.search(_bare(text)):
                yield node.lineno, text
    for child in ast.iter_child_nodes(node):
        # The texts of an f-string have been looked at, all together.
        if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from _looked_at(child)


def _bare(text: str) -> str:
    if OF_MACHINES.match(text):
        return ""
    return SAME_EVERYWHERE.sub("", DECORATION.sub("", TAG.sub("", text)))


def _texts(node: ast.AST) -> Iterator[str]:
    """The literal texts that an expression may become."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
    elif isinstance(node, ast.List | ast.Tuple):
        for part in node.elts:
            yield from _texts(part)
    elif isinstance(node, ast.BinOp):
        yield from (*_texts(node.left), *_texts(node.right))
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))


@pytest.mark.parametrize(
    "bad",
    [
        'st.button("Stop", key="stop")',
        'st.button(f"Stop {n}", key="stop")',
        'st.text_input(_("Seed"), placeholder="random")',
        'st.slider(_("Top P"), help="Keeps the likeliest" + x)',
        'place.error("gone" if gone else _("lost"))',
        'EXAMPLES = ("Why is the sky blue?",)',
        'state.notice = "That chat is no longer here."',
        'st.segmented_control(_("Preset"), ["Original", own])',
        'st.caption(_(f"{n} tokens"))',
        '_JS = """button.textContent = "Copied";"""',
        '_JS = """made.append(button("Copy", copy))"""',
        '_JS = """el("span", { title: "Copy" })"""',
        "_HTML = \"<button title='x'>Copy</button>\"",
        'st.set_page_config(page_title="Chat")',
        'st.markdown(":red[failed]")',
        """st.html(f'<div title="Tokens used" class="x">{n}</div>')""",
        """st.html(f'<div class="some words here">{n} tokens left</div>')""",
    ],
)
def test_words_outside_of_the_catalogue_are_found(bad: str) -> None:
    assert list(untranslated(bad))


@pytest.mark.parametrize(
    "good",
    [
        'st.button(_("Stop"), key="stop_reply", icon=":material/stop_circle:", type="tertiary")',
        'st.caption(_("{n} tokens", n=3) + " · ")',
        'raise ParameterError("seed", "a whole number of at least 0", seed)',
        'log.error("replies are not being kept")',
        '"""A docstring of some words."""',
        """st.html(f'<div class="some words here" title="{free}">{n}</div>')""",
        'EXAMPLES = (N_("Why is the sky blue?"),)',
        'st.markdown("**glasschat**")',
        'st.segmented_control(_("Language"), list(Language))',
        '_JS = """button.textContent = data.copied; title = `${data.title}`"""',
        r'_JS = r"""line.textContent = "\u00a0"; mark.textContent = "⏎\n"; button("×", shut)"""',
    ],
)
def test_what_is_translated_or_never_shown_is_left_alone(good: str) -> None:
    assert list(untranslated(good)) == []


@pytest.mark.parametrize("name", FILES)
def test_a_page_says_nothing_that_no_catalogue_has(name: str) -> None:
    assert list(untranslated((PAGES / name).read_text("utf-8"))) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_writes_no_words_of_its_own(name: str) -> None:
    """They come with its data, in the visitor's language."""
    assert WRITTEN_BY_SCRIPT.findall((PAGES / name).read_text("utf-8")) == []
