"""Every message of the source has a finished translation, and no other is kept."""

import re
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from glasschat.web.error_text import ERROR
from glasschat.web.language import LOCALE, Language
from tests.support.error_sites import all_error_sites
from tools.messages import extracted, has_words, updated, written

CATALOGUES = sorted(LOCALE.glob("*.po"))


@pytest.fixture(scope="module")
def source() -> Catalog:
    return extracted()


def catalogue(name: str) -> Catalog:
    with (LOCALE / name).open("rb") as file:
        return read_po(file, locale=name.partition(".")[0])


def key(message: Message) -> tuple[str | None, object]:
    return message.context, message.id


def forms(texts: object) -> list[str]:
    return [texts] if isinstance(texts, str) else [str(text) for text in texts or ()]


def fields(text: str) -> set[str]:
    return {name for _text, name, _spec, _conversion in Formatter().parse(text) if name is not None}


def test_there_is_a_catalogue_for_every_language_but_the_sources() -> None:
    wanted = {f"{language}.po" for language in Language if language is not Language.ENGLISH}
    assert {path.name for path in CATALOGUES} == wanted


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_every_message_is_translated(path: object, source: Catalog) -> None:
    """Else: `python tools/messages.py`, and write what is empty in the file."""
    found = catalogue(path.name)  # type: ignore[attr-defined]
    wanted = {key(message) for message in source if message.id}
    there = {key(message) for message in found if message.id}
    assert wanted - there == set(), "new in the source"
    assert there - wanted == set(), "gone from the source"
    assert not found.obsolete
    for message in found:
        if message.id:
            assert not message.fuzzy, message.id
            assert forms(message.string) and all(map(str.strip, forms(message.string))), message.id


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_a_translation_has_the_values_of_its_message(path: object) -> None:
    for message in catalogue(path.name):  # type: ignore[attr-defined]
        if not message.id:
            continue
        wanted = fields(forms(message.id)[-1])
        for text in forms(message.string):
            # A plural form may do without the number that it is chosen by.
            assert fields(text) == wanted, f"{message.id}: {text}"
            Formatter().vformat(text, (), dict.fromkeys(wanted, 1))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_the_file_is_as_the_tool_writes_it(path: object, source: Catalog) -> None:
    text = path.read_text("utf-8")  # type: ignore[attr-defined]
    header = text.partition("\n\n")[0]
    assert written(updated(path, source), header) == text  # type: ignore[arg-type]


def test_chinese_has_chinese_punctuation() -> None:
    """A mixture of both scripts' marks looks careless."""
    mixed = re.compile(r"[\u4e00-\u9fff][,;:?!.]|[,;:?!][\u4e00-\u9fff]")
    for message in catalogue("zh.po"):
        for text in forms(message.string) if message.id else ():
            assert not mixed.search(text), text


def test_babel_finds_every_template_of_an_error(source: Catalog) -> None:
    """Its extractor reads tokens, and misses what stands behind a call within a call."""
    wanted = {site.template for site in all_error_sites() if site.template is not None}
    found = {message.id for message in source if message.context == ERROR}
    assert found == {template for template in wanted if has_words(template)}


def test_templates_of_nothing_but_values_are_not_translated() -> None:
    assert has_words("the {queue}") and has_words("a {{") and has_words("忙")
    assert not has_words("{type}: {error}")
