"""What a model wrote is what a reader sees: no price lost in a formula, no picture fetched."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.web.markup import literal_lines, to_markdown

JOINER = "\u2060"
MARKS = [*"ab 1.$\\`~:![]{}()<>-=|*\n\t", "```", "$$", "\\(", "\\[", "\\]", "![x](u)"]
texts = st.lists(st.sampled_from(MARKS), max_size=40).map("".join)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$5 and $10", r"\$5 and \$10"),
        ("from $5-$10, or US$3", r"from \$5-\$10, or US\$3"),
        (r"\$5 is escaped already", r"\$5 is escaped already"),
        (r"\\$5 is not", r"\\\$5 is not"),
    ],
)
def test_prices_stay_prices(text: str, shown: str) -> None:
    assert to_markdown(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$x^2$", "$x^2$"),
        ("so $$x$$ holds", "so $$x$$ holds"),
        ("$$\nx = 1\n$$", "$$\nx = 1\n$$"),
        (r"where \(x^2\) is", "where $x^2$ is"),
        (r"\[ a \\ b \]", "$$\n" + r"a \\ b" + "\n$$"),
        ("$a$ costs $5", r"$a$ costs \$5"),
    ],
)
def test_formulas_stay_formulas(text: str, shown: str) -> None:
    assert to_markdown(text) == shown


CODES = [
    "`$5 ![x](u) :smile:`",
    "``a ` $5``",
    "```sh\necho $HOME :a: ![x](u)\n```",
    "~~~\n$5\n```\n$6\n~~~",
    "```sh\necho $HOME\n\necho $PATH\n",
    "```\nstill open $5",
    "> ```\n> $5\n> ```",
    "- ```\n  $5\n  ```",
    "1. Run\n\n    ```sh\n    echo $HOME\n\n    echo $PATH\n    ```",
]


@pytest.mark.parametrize("code", CODES)
def test_code_is_left_as_it_is_also_while_its_fence_is_open(code: str) -> None:
    assert to_markdown(code) == code
    assert literal_lines(code).replace("  \n", "\n") == code


@pytest.mark.parametrize("code", [code for code in CODES if not code.endswith(("\n", "open $5"))])
def test_after_code_a_price_is_a_price_again(code: str) -> None:
    assert to_markdown(f"{code}\n\n$5 and $6") == f"{code}\n\n" + r"\$5 and \$6"


@given(st.text(st.sampled_from("ab $:!\\[]()\n~<>-")), st.sampled_from(["py", "", "a b"]))
def test_whatever_is_fenced_is_byte_identical(inside: str, language: str) -> None:
    code = f"```{language}\n{inside}\n```"
    assert to_markdown(f"before $1\n\n{code}\n\nafter").split("\n\n", 1)[1] == f"{code}\n\nafter"


@pytest.mark.parametrize(
    "text",
    [
        "![x](http://evil/x.png)",
        r"\\![x](http://evil/x.png)",
        "![x][1]\n\n[1]: http://evil/x.png",
        "[![x](http://evil/x.png)](http://evil)",
        "$a ![x](http://evil/x.png) b$",
        "```inline``` ![x](http://evil/x.png)",
        "\\`![x](http://evil/x.png)\\`",
        "`open\n- ![x](http://evil/x.png)`",
        "`open\n\n![x](http://evil/x.png)`",
    ],
)
def test_no_picture_is_ever_fetched(text: str) -> None:
    for before in re.findall(r"(\\*)!\[", to_markdown(text)):
        assert len(before) % 2 == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (":smile: :+1:", f":{JOINER}smile: :{JOINER}+1:"),
        (":red[x]", r"\:red[x]"),
        ("key:values[0] of a:b{c}", r"key\:values[0] of a\:b{c}"),
        (":::note\nhi\n:::", "\\:\\:\\:note\nhi\n\\:\\:\\:"),
        ("at 10:30:45", f"at 10:{JOINER}30:45"),
        ("a -> b -- c <= d", f"a -{JOINER}> b -{JOINER}- c <{JOINER}= d"),
        ("A title\n--\n", "A title\n--\n"),
    ],
)
def test_shortcodes_directives_and_signs_are_shown_as_typed(text: str, shown: str) -> None:
    assert to_markdown(text) == shown


@given(texts)
def test_nothing_that_is_visible_is_lost(text: str) -> None:
    """Characters are added, never taken; but for \\( \\), which become dollars."""
    kept = re.sub(r"\\[()\[\]]|\s", "", text)
    shown = iter(to_markdown(text))
    assert all(character in shown for character in kept)


@given(texts)
def test_line_breaks_of_a_visitor_are_kept(text: str) -> None:
    bare = re.sub(r"\\[()\[\]]", "", text)
    assert literal_lines(bare).count("\n") >= bare.count("\n")


def test_a_long_hostile_text_takes_no_long_time() -> None:
    for piece in ("`", "```\n", "$", "\\(", ":a", "- > ", "![", "    ", "$a", "`a\n"):
        to_markdown(piece * 4000)
