"""Which language a visitor is spoken to in, and how a message gets there."""

import io
import threading
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import write_po
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from glasschat.web.catalogue import Catalogue
from glasschat.web.language import (
    LOCALE,
    Language,
    _,
    current_language,
    ngettext,
    speaking,
    translator,
)

# What a translator may write; no surrogates, which UTF-8 has no bytes for.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: text.strip() and not set(text) & set("\r\x00\x04")
)


@given(
    st.lists(st.tuples(texts, texts, st.sampled_from([None, "error"])), max_size=6),
    st.lists(st.tuples(texts, texts, texts), max_size=3),
)
def test_a_catalogue_is_read_as_babel_reads_it(
    plain: list[tuple[str, str, str | None]], counted: list[tuple[str, str, str]]
) -> None:
    catalog = Catalog(locale="zh", fuzzy=False)
    for message, said, context in plain:
        catalog.add(message, said, context=context)
    for one, many, said in counted:
        if one not in catalog:
            catalog.add((one, many), (said,))
    file, compiled = io.BytesIO(), io.BytesIO()
    write_po(file, catalog, width=30)
    write_mo(compiled, catalog)
    compiled.seek(0)
    ours, oracle = Catalogue(file.getvalue().decode()), GNUTranslations(compiled)
    for message, _said, context in plain:
        if context:
            assert ours.pgettext(context, message) == oracle.pgettext(context, message)
        else:
            assert ours.gettext(message) == oracle.gettext(message)
    for one, many, _said in counted:
        assert ours.ngettext(one, many, 3) == oracle.ngettext(one, many, 3)


def test_what_is_not_finished_is_not_said() -> None:
    catalogue = Catalogue(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        '#, fuzzy\nmsgid "Stop"\nmsgstr "half right"\n\n'
        'msgid "Send"\nmsgstr ""\n\n'
        '#~ msgid "Old"\n#~ msgstr "gone"\n'
    )
    assert [catalogue.gettext(text) for text in ("Stop", "Send", "Old")] == ["Stop", "Send", "Old"]


def test_a_broken_catalogue_says_where() -> None:
    with pytest.raises(ValueError, match="line 2"):
        Catalogue('msgid "Stop"\nmsgst "x"\n')


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,zh;q=0.9", "en"),
        ("fr-FR, zh-TW;q=0.3, en;q=0.2", "zh"),
        ("zh;q=0, en;q=0.1", "en"),
        ("ZH-Hans", "zh"),
        ("zhuang", "en"),
        ("*", "en"),
        ("zh;q=high, ;;, =", "en"),
        ("zh;q=nan", "en"),
        (", ".join(f"x{number}" for number in range(10_000)) + ", zh", "zh"),
    ],
)
def test_the_browser_says_what_it_wants(header: str | None, language: str) -> None:
    assert translator(header).language == language


def test_what_was_chosen_goes_before_what_the_browser_says() -> None:
    assert translator("zh", "en").language is Language.ENGLISH
    assert translator("en", "zh").language is Language.CHINESE
    assert translator("zh", "tlh; Path=/").language is Language.CHINESE


def test_values_are_put_in_by_name_and_never_read_as_a_pattern() -> None:
    assert _("{free:,} free", free=1234) == "1,234 free"
    assert _("“{title}” was deleted.", title="{0} {free} }{") == "“{0} {free} }{” was deleted."
    assert ngettext("{n:,} token", "{n:,} tokens", 1) == "1 token"
    assert ngettext("{n:,} token", "{n:,} tokens", 1000) == "1,000 tokens"
    assert _("") == ""
    with speaking(Language.CHINESE):
        assert ngettext("{n:,} token", "{n:,} tokens", 1000) == "1,000 个 token"
        assert _("") == "" and _("no such message") == "no such message"


def test_visitors_at_once_are_each_spoken_to_in_their_own_language() -> None:
    """Streamlit draws every visitor's page in a thread of its own."""
    said: dict[int, set[str]] = {}
    together = threading.Barrier(8)

    def draw(number: int) -> None:
        with speaking(Language.CHINESE if number % 2 else Language.ENGLISH):
            together.wait()
            said[number] = {_("Stop") for _again in range(2000)}

    threads = [threading.Thread(target=draw, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: {"停止"} if number % 2 else {"Stop"} for number in range(8)}
    assert current_language() is Language.ENGLISH


def _page() -> None:
    import streamlit as st

    from glasschat.web.language import Language, _, choose

    st.title(_("Stop"))

    @st.fragment
    def part() -> None:
        st.caption(_("Send"))

    part()
    st.button("say", key="say", on_click=lambda: st.session_state.update(said=_("Edit")))
    for language in Language:
        st.button(language, key=language, on_click=choose, args=(language,))


def test_script_callbacks_and_fragments_follow_the_choice() -> None:
    app = AppTest.from_function(_page, default_timeout=20).run()
    assert (app.title[0].value, app.caption[0].value) == ("Stop", "Send")
    app.button(key="zh").click().run()
    assert (app.title[0].value, app.caption[0].value) == ("停止", "发送")
    app.button(key="say").click().run()
    assert app.session_state["said"] == "编辑"
    app.button(key="en").click().run()
    assert (app.title[0].value, app.caption[0].value) == ("Stop", "Send")


def test_the_catalogues_come_with_the_package() -> None:
    """An installation finds them beside the code, as setuptools is told to bring them."""
    root = Path(__file__).parents[2]
    assert (LOCALE / "zh.po").is_file()
    assert '"web/locale/*.po"' in (root / "pyproject.toml").read_text()
