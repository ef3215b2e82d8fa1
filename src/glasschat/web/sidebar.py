"""The settings of one visitor."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from glasschat.backends import Description
from glasschat.chat import Settings
from glasschat.errors import ParameterError
from glasschat.sampling import SamplingParams

DEFAULTS = SamplingParams()
ORIGINAL, MODELS_OWN = "Original", "Model's own"


# What a preset sets, with the limits of its widget; lengths, stops and the seed are not a matter of
# taste.
PRESET: dict[str, tuple[float, float]] = {
    "top_p": (0.0, 1.0),
    "temperature": (0.0, math.inf),
    "top_k": (0, 1000),
    "min_p": (0.0, 1.0),
    "typical_p": (0.01, 1.0),
    "repetition_penalty": (0.5, 2.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "no_repeat_ngram_size": (0, 100),
    "do_sample": (False, True),
}
# What a model's makers leave out is off, as transformers has it.
UNNAMED = {"top_p": 1.0, "temperature": 1.0, "repetition_penalty": 1.0}


def restore(settings: Settings | None) -> None:
    """Put the widgets where they were when this conversation was last asked something."""
    if settings is None:
        return
    params = settings.params
    st.session_state.system = settings.system
    for name in (*PRESET, "max_length", "min_new_tokens"):
        st.session_state[name] = getattr(params, name)
    st.session_state.limit_reply = params.max_new_tokens is not None
    if params.max_new_tokens is not None:
        st.session_state.max_new_tokens = params.max_new_tokens
    st.session_state.stop = "\n".join(params.stop)
    st.session_state.seed = "" if params.seed is None else str(params.seed)


def draw(description: Description, on_clear: Callable[[], None]) -> None:
    """The sidebar: the original's settings first, then the rest folded away."""
    most = max(8, description.context)
    with st.sidebar:
        st.slider(
            "Max Length",
            8,
            most,
            key="max_length",
            format="localized",
            help="Prompt and reply together, in tokens.",
            **_initial("max_length", min(DEFAULTS.max_length, most)),
        )
        st.slider(
            "Top P",
            0.0,
            1.0,
            step=0.01,
            key="top_p",
            **_initial("top_p", DEFAULTS.top_p),
            help="Keeps the fewest tokens whose probabilities reach p.",
        )
        st.slider(
            "Temperature",
            0.0,
            max(1.0, float(description.recommended.get("temperature", 0.0))),
            step=0.01,
            key="temperature",
            help="Lower is surer; 0 always takes the likeliest token.",
            **_initial("temperature", DEFAULTS.temperature),
        )
        st.button("Clear Chat History", key="clear", on_click=on_clear, width="stretch")
        if description.recommended:
            _presets(description.recommended)
        st.text_area(
            "System prompt",
            key="system",
            height=80,
            placeholder="You are a helpful assistant.",
            help="Read by the model before the conversation, from the next reply on.",
        )
        with st.expander("More settings", key="more"):
            _more(most)


def _presets(recommended: Mapping[str, float]) -> None:
    """The original's settings or what the model's makers recommend, at a click."""
    named = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in recommended.items())

    def use() -> None:
        own = {**UNNAMED, **recommended} if st.session_state.preset == MODELS_OWN else {}
        for name, (low, high) in PRESET.items():
            value = getattr(DEFAULTS, name)
            # The widgets' numbers are of the settings' own types.
            st.session_state[name] = type(value)(min(max(own.get(name, value), low), high))

    st.session_state.setdefault("preset", ORIGINAL)
    st.segmented_control(
        "Preset",
        (ORIGINAL, MODELS_OWN),
        key="preset",
        on_change=use,
        required=True,
        width="stretch",
        help=f"The model's makers recommend {named}.",
    )


def _more(most: int) -> None:
    st.toggle(
        "Sample",
        key="do_sample",
        **_initial("do_sample", True),
        help="Off: the likeliest token is always taken.",
    )
    _number("Top K", "top_k", 0, 1000, 1, "Keeps the k likeliest tokens; 0 is off.")
    _number("Min P", "min_p", 0.0, 1.0, 0.01, "Drops tokens far below the likeliest; 0 is off.")
    _number("Typical P", "typical_p", 0.01, 1.0, 0.01, "Keeps typical surprise; 1 is off.")
    _number(
        "Repetition penalty",
        "repetition_penalty",
        0.5,
        2.0,
        0.005,
        "Weakens tokens already seen in prompt or reply; 1 is off.",
    )
    _number(
        "Presence penalty",
        "presence_penalty",
        -2.0,
        2.0,
        0.1,
        "Subtracted once from tokens already in the reply.",
    )
    _number(
        "Frequency penalty",
        "frequency_penalty",
        -2.0,
        2.0,
        0.1,
        "Subtracted for every time a token is already in the reply.",
    )
    _number(
        "No repeated runs of",
        "no_repeat_ngram_size",
        0,
        100,
        1,
        "Tokens; no run of this length appears twice. 0 is off.",
    )
    _number("Least reply", "min_new_tokens", 0, most, 1, "Tokens before the reply may end.")
    st.checkbox("Limit the reply", key="limit_reply", **_initial("limit_reply", False))
    if st.session_state.limit_reply:
        st.number_input(
            "Longest reply",
            1,
            most,
            step=1,
            key="max_new_tokens",
            **_initial("max_new_tokens", min(512, most)),
            help="In tokens.",
        )
    st.text_area(
        "Stop at", key="stop", height=70, help="One text a line; the reply ends before it."
    )
    st.text_input(
        "Seed",
        key="seed",
        placeholder="a new one each time",
        help="The same seed gives the same draws.",
    )


def _number(label: str, name: str, low: float, high: float, step: float, text: str) -> None:
    st.number_input(
        label, low, high, step=step, key=name, help=text, **_initial(name, getattr(DEFAULTS, name))
    )


def _initial(name: str, value: Any) -> dict[str, Any]:
    # A widget with both a value and a state of its own makes Streamlit complain.
    return {} if name in st.session_state else {"value": value}


def settings() -> Settings:
    """What the widgets say now. Raises ParameterError."""
    state = st.session_state
    seed = str(state.get("seed", "")).strip()
    if seed and not seed.isdecimal():
        raise ParameterError("seed", "a whole number of at least 0, or empty", seed)
    params = SamplingParams(
        do_sample=state.do_sample,
        max_length=state.max_length,
        top_p=state.top_p,
        temperature=state.temperature,
        top_k=state.top_k,
        min_p=state.min_p,
        typical_p=state.typical_p,
        repetition_penalty=state.repetition_penalty,
        presence_penalty=state.presence_penalty,
        frequency_penalty=state.frequency_penalty,
        no_repeat_ngram_size=state.no_repeat_ngram_size,
        min_new_tokens=state.min_new_tokens,
        max_new_tokens=state.max_new_tokens if state.limit_reply else None,
        stop=tuple(line for line in state.get("stop", "").splitlines() if line),
        seed=int(seed) if seed else None,
    )
    return Settings(params, state.get("system", ""))
