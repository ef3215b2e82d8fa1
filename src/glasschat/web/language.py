"""The visitor's language: English, in which the source is written, or Chinese.

    from glasschat.web.language import N_, _, ngettext

    st.button(_("Stop"), key="stop_reply")
    st.caption(_("{used:,} of {context:,} tokens", used=used, context=context))
    ngettext("{n:,} token", "{n:,} tokens", count)

Works wherever a page is drawn: in the script, its callbacks and fragments. The rules, which tests
hold:

- Whole sentences; values by name, so that another language may put them elsewhere. No f-strings:
  the catalogue has the text as it stands in the source.
- What is made at import has no visitor yet: mark it there, `N_("Why is the sky blue?")`, and
  translate where it is drawn, `_(text)`.
- Every widget has a `key`: by its label alone it would be another widget in another language.

A page outside of Streamlit asks for a `translator` and calls it `_`. Another catalogue is another
`locale/*.po`, and a line in `Language`; `python tools/messages.py` brings them up to date.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from glasschat.web.catalogue import Catalogue

COOKIE = "glasschat_language"
"""Where the browser keeps which language was chosen."""

LOCALE = Path(__file__).with_name("locale")

_CHOSEN = "language_chosen"
_language: ContextVar["Language | None"] = ContextVar("language", default=None)


class Language(StrEnum):
    """By the first part of its tag."""

    ENGLISH = "en"
    CHINESE = "zh"

    @property
    def own_name(self) -> str:
        """As its readers call it."""
        return {Language.ENGLISH: "English", Language.CHINESE: "中文"}[self]

    @property
    def tag(self) -> str:
        """For the page's `lang`: which letters are drawn, and how they are read aloud."""
        return {Language.ENGLISH: "en", Language.CHINESE: "zh-CN"}[self]

    @property
    def full_stop(self) -> str:
        """What a sentence ends with."""
        return {Language.ENGLISH: ".", Language.CHINESE: "。"}[self]


@dataclass(frozen=True, slots=True)
class Translator:
    """Says messages in one language."""

    language: Language

    def __call__(self, message: str, /, **values: object) -> str:
        """The message, with `values` in the places of their names."""
        # The empty message is where a catalogue keeps its header.
        said = _catalogue(self.language).gettext(message) if message else message
        return said.format(**values) if values else said

    def pgettext(self, context: str, message: str, /) -> str:
        """Return the message of a context, as a template: no values are filled in."""
        return _catalogue(self.language).pgettext(context, message) if message else message

    def ngettext(self, one: str, many: str, n: int, /, **values: object) -> str:
        """The form for `n` of them; `n` is among the values."""
        return _catalogue(self.language).ngettext(one, many, n).format(n=n, **values)


def translator(accept_language: str | None, cookie: str | None = None) -> Translator:
    """For a page outside of Streamlit: by its request's header Accept-Language.

    `cookie` is the value of the request's cookie COOKIE, and goes before.
    """
    return Translator(_known(cookie) or _accepted(accept_language) or Language.ENGLISH)


def _(message: str, /, **values: object) -> str:
    """The message in the visitor's language, with `values` in the places of their names."""
    return Translator(current_language())(message, **values)


def ngettext(one: str, many: str, n: int, /, **values: object) -> str:
    """The form for `n` of them in the visitor's language; `n` is among the values."""
    return Translator(current_language()).ngettext(one, many, n, **values)


def N_(message: str) -> str:  # noqa: N802 (gettext's own name for it)
    """Mark a message that is translated where it is drawn."""
    return message


def current_language() -> Language:
    """The language of the visitor for whom this thread works; English where there is none.

    Streamlit's threads each serve one visitor, and what they start takes the context along, so a
    visitor is asked about once a thread.
    """
    language = _language.get()
    if language is None:
        language = _visitors_language()
        _language.set(language)
    return language


def choose(language: Language) -> None:
    """Speak that language to this visitor from now on. The switch keeps it in the browser."""
    st.session_state[_CHOSEN] = language
    _language.set(language)


def chosen_language() -> Language | None:
    """What this visitor has chosen on this page; None for what the browser says."""
    return _known(st.session_state.get(_CHOSEN))


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Whatever the visitor's is, that language inside the block."""
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def _visitors_language() -> Language:
    if get_script_run_ctx(suppress_warning=True) is None:
        return Language.ENGLISH
    return (
        chosen_language()
        or _known(st.context.cookies.get(COOKIE))
        or _accepted(st.context.locale)
        or _accepted(st.context.headers.get("Accept-Language"))
        or Language.ENGLISH
    )


def _known(value: str | None) -> Language | None:
    return Language(value) if value in list(Language) else None


def _accepted(header: str | None) -> Language | None:
    """The language that is wanted most of those that we have. A wrong header wants none."""
    wanted: list[tuple[float, Language]] = []
    for item in (header or "").split(","):
        tag, _, weight = item.partition(";")
        language = _known(tag.strip().lower().partition("-")[0])
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight.strip() else 1.0
        except ValueError:
            continue
        if language and quality > 0:
            wanted.append((quality, language))
    return max(wanted, key=lambda found: found[0])[1] if wanted else None


@cache
def _catalogue(language: Language) -> Catalogue:
    file = LOCALE / f"{language}.po"
    return Catalogue(file.read_text("utf-8") if file.exists() else "")
