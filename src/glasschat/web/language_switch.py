"""The switch between languages, and what the browser has to know of the choice."""

import streamlit as st

from glasschat.web.language import (
    COOKIE,
    Language,
    _,
    choose,
    chosen_language,
    current_language,
)

# The page's `lang` decides how Chinese characters are drawn and how all of it is read aloud.
# The cookie is what reloads, new tabs and the page for signing in know the choice by.
_JS = """
export default function ({ data }) {
  document.documentElement.lang = data.tag;
  if (data.chosen) {
    document.cookie = `${data.cookie}=${data.chosen}; Path=/; Max-Age=31536000; SameSite=Lax`;
  }
}
"""
# Streamlit's own words on its widgets, which it has in English only.
_WORDS_STYLE = """
[data-testid="stFileUploaderDropzone"] > span button p {{ font-size: 0; }}
[data-testid="stFileUploaderDropzone"] > span button p::after {{
  content: "{choose}"; font-size: 0.875rem;
}}
[data-testid="stTextArea"] [data-testid="InputInstructions"] > span {{ font-size: 0; }}
[data-testid="stTextArea"] [data-testid="InputInstructions"] > span::after {{
  content: "{apply}"; font-size: 0.75rem;
}}
[data-testid="stFileUploaderDropzoneInstructions"],
[data-testid="stTextInput"] [data-testid="InputInstructions"],
[data-testid="stNumberInput"] [data-testid="InputInstructions"] {{ display: none; }}
"""
_KEY = "language"
_tell_browser = st.components.v2.component("glasschat_language", js=_JS)


def language_switch() -> None:
    """Draw the switch between English and 中文; the choice is kept in a cookie."""
    # Before the page is drawn for the first time, and where another tab's choice came by cookie.
    if st.session_state.get(_KEY) != current_language():
        st.session_state[_KEY] = current_language()
    with st.container(key="language_switch", gap=None):
        st.segmented_control(
            _("Language"),
            list(Language),
            key=_KEY,
            format_func=lambda language: language.own_name,
            label_visibility="collapsed",
            required=True,
            on_change=_choose,
        )
        _tell_browser(
            key="language_told",
            data={"tag": current_language().tag, "chosen": chosen_language(), "cookie": COOKIE},
            height=1,
        )
        if current_language() is not Language.ENGLISH:
            choose_file, apply = _("Choose a file"), _("Ctrl+Enter to apply")
            st.html(f"<style>{_WORDS_STYLE.format(choose=choose_file, apply=apply)}</style>")


def _choose() -> None:
    choose(Language(st.session_state[_KEY]))
