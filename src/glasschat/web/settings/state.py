"""What the widgets of one visitor say, and how it is put into them.

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
from glasschat.web.settings.own_state import own_stages, put_own

RESTORED = "settings_restored"
"""Set where another conversation's settings came: which preset they are is not known yet."""

OWN = "own_presets"
"""One's own presets as they were last asked for; whatever changes them takes this away."""

USUAL_LIMIT = 512
"""Tokens of the longest reply that is proposed to whoever wants a limit."""

_BESIDE = ("max_new_tokens", "stop", "seed", "own_stages")


def values() -> dict[str, Any]:
    """All settings as they are set now."""
    return {name: value(name) for name in (*SAMPLING_FIELDS, *LIMIT_FIELDS)}


def value(name: str) -> Any:
    """A setting as it is set now. A seed that is none is the text that was typed."""
    state = st.session_state
    if name == "max_new_tokens":
        return state.get(name, USUAL_LIMIT) if state.get("limit_reply") else None
    if name == "stop":
        return stops_of(state.get(name, ""))
    if name == "seed":
        return _seed_of(state.get(name, ""))
    if name == "own_stages":
        return own_stages()
    return state.get(name, getattr(DEFAULTS, name))


def put(new: Mapping[str, Any]) -> None:
    """Set some settings. Before their widgets are drawn: in callbacks, say."""
    state = st.session_state
    for name, value in new.items():
        if name not in _BESIDE:
            state[name] = value
    if "max_new_tokens" in new:
        state.limit_reply = new["max_new_tokens"] is not None
        if state.limit_reply:
            state.max_new_tokens = new["max_new_tokens"]
    if "stop" in new:
        state.stop = lines_of(new["stop"])
    if "seed" in new:
        state.seed = "" if new["seed"] is None else str(new["seed"])
    if "own_stages" in new:
        put_own(new["own_stages"])


def settings() -> Settings:
    """What a reply is to be made with. Raises ParameterError."""
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
    """What is to become of a conversation that the context does not hold."""
    return ContextPolicy(st.session_state.get("context_policy", ContextPolicy.REFUSE))


def restore(params: SamplingParams | None, system: str) -> None:
    """Put the widgets where they were when a conversation was last asked something.

    `params` is None for one that nothing was set for: the sampling then stays as it is.
    """
    st.session_state.system = system
    if params is not None:
        put({name: getattr(params, name) for name in (*SAMPLING_FIELDS, *LIMIT_FIELDS)})
        st.session_state[RESTORED] = True


def _seed_of(text: str) -> int | str | None:
    text = text.strip()
    # 2**64 has twenty digits.
    number = text.isdecimal() and text.isascii() and len(text) <= 20
    return int(text) if number else text or None


def stops_of(text: str) -> tuple[str, ...]:
    """The stop strings of a text, one a line; `\\n` and `\\\\` are a line's end and a backslash."""
    return tuple(_unescaped(line) for line in text.split("\n") if line)


def lines_of(stops: tuple[str, ...]) -> str:
    """The text for these stop strings."""
    return "\n".join(
        stop.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r") for stop in stops
    )


def _unescaped(line: str) -> str:
    text, parts = "", line.split("\\\\")
    for part in parts:
        text += part.replace("\\n", "\n").replace("\\r", "\r") + "\\"
    return text[:-1]
