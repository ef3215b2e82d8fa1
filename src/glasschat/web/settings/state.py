"""The state of one visitor's settings widgets: read and set.

Each widget has the name of its setting as its key, so its value is found in Streamlit's session
state by that name. `_BESIDE` are those whose widget holds something else than the setting.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from glasschat.chat import Settings
from glasschat.chat.presets import DEFAULTS, LIMIT_FIELDS, SAMPLING_FIELDS
from glasschat.errors import ParameterError
from glasschat.prompt import ContextPolicy
from glasschat.sampling import SamplingParams
from glasschat.web.settings.custom_stage_state import custom_stages, put_custom_stages

RESTORED = "settings_restored"
"""Key that is set when a conversation's settings were restored: their preset is not known yet."""

OWN_PRESETS = "own_presets"
"""Key of the visitor's presets as they were last loaded; whatever changes them removes it."""

USUAL_LIMIT = 512
"""Tokens of the longest reply that is proposed when the limit is switched on."""

_BESIDE = ("max_new_tokens", "stop", "seed", "own_stages")


def values() -> dict[str, Any]:
    """Return all settings as they are set now, by their names."""
    return {name: value(name) for name in (*SAMPLING_FIELDS, *LIMIT_FIELDS)}


def value(name: str) -> Any:
    """Return a setting as it is set now; for a seed that is no number, the text that was typed."""
    state = st.session_state
    if name == "max_new_tokens":
        return state.get(name, USUAL_LIMIT) if state.get("limit_reply") else None
    if name == "stop":
        return parse_stops(state.get(name, ""))
    if name == "seed":
        return _seed_of(state.get(name, ""))
    if name == "own_stages":
        return custom_stages()
    return state.get(name, getattr(DEFAULTS, name))


def set_widgets(new: Mapping[str, Any]) -> None:
    """Set some settings before their widgets are drawn, as in callbacks."""
    state = st.session_state
    for name, value in new.items():
        if name not in _BESIDE:
            state[name] = value
    if "max_new_tokens" in new:
        state.limit_reply = new["max_new_tokens"] is not None
        if state.limit_reply:
            state.max_new_tokens = new["max_new_tokens"]
    if "stop" in new:
        state.stop = format_stops(new["stop"])
    if "seed" in new:
        state.seed = "" if new["seed"] is None else str(new["seed"])
    if "own_stages" in new:
        put_custom_stages(new["own_stages"])


def settings() -> Settings:
    """Return the settings for the next reply. Raises ParameterError."""
    now = values()
    if isinstance(now["seed"], str):
        raise ParameterError("seed", "a whole number of at least 0, or empty", now["seed"])
    state = st.session_state
    return Settings(
        SamplingParams(**now),
        system=state.get("system", ""),
        stop_unwatched=state.get("stop_unwatched", False),
        policy=policy(),
    )


def policy() -> ContextPolicy:
    """Return what happens to a conversation that is longer than the context."""
    return ContextPolicy(st.session_state.get("context_policy", ContextPolicy.REFUSE))


def restore(params: SamplingParams | None, system: str) -> None:
    """Set the widgets to the settings that a conversation was last continued with.

    `params` is None for a new conversation: the sampling then stays as it is.
    """
    st.session_state.system = system
    if params is not None:
        set_widgets({name: getattr(params, name) for name in (*SAMPLING_FIELDS, *LIMIT_FIELDS)})
        st.session_state[RESTORED] = True


def _seed_of(text: str) -> int | str | None:
    text = text.strip()
    # 2**64 has twenty digits.
    number = text.isdecimal() and text.isascii() and len(text) <= 20
    return int(text) if number else text or None


def parse_stops(text: str) -> tuple[str, ...]:
    """Return the stop strings of a text, one a line; `\\n` is a line's end, `\\\\` a backslash."""
    return tuple(_unescaped(line) for line in text.split("\n") if line)


def format_stops(stops: tuple[str, ...]) -> str:
    """Return the text for these stop strings, the inverse of `parse_stops`."""
    return "\n".join(
        stop.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r") for stop in stops
    )


def _unescaped(line: str) -> str:
    text, parts = "", line.split("\\\\")
    for part in parts:
        text += part.replace("\\n", "\n").replace("\\r", "\r") + "\\"
    return text[:-1]
