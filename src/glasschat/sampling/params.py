"""The settings of one reply, in the names of transformers' GenerationConfig."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from glasschat.errors import ParameterError
from glasschat.sampling.custom.stage import CustomStage
from glasschat.sampling.order import DEFAULT_ORDER, validate_custom_stages, validate_order


def setting(default: Any, low: float, high: float, summary: str, *, open_low: bool = False) -> Any:
    """A numeric field that knows its range; `open_low` leaves the lower bound itself out."""
    return field(
        default=default,
        metadata={"low": low, "high": high, "open_low": open_low, "summary": summary},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How the next token is chosen, and when a reply ends. Frozen and validated.

    The defaults are those of the demo that glasschat starts from: temperature 0.7, top-p 0.8,
    repetition penalty 1.005, sampling on. Everything else is off.

    `own_stages` are those that did not come with glasschat. `stages` names all stages: one of
    one's own that it leaves out is put behind the last processor, or as a warper at the end.

    A wrong value raises ParameterError (a ValueError) with the name, the range and the value.
    """

    do_sample: bool = True
    temperature: float = setting(
        0.7, 0.0, 100.0, "Divides the logits: lower is surer, 0 always takes the likeliest token."
    )
    top_k: int = setting(0, 0, 2**31 - 1, "Keeps the k likeliest tokens; 0 is off.")
    top_p: float = setting(
        0.8, 0.0, 1.0, "Keeps the fewest tokens whose probabilities reach p; 1 is off."
    )
    min_p: float = setting(
        0.0, 0.0, 1.0, "Drops tokens below this share of the likeliest one's probability; 0 is off."
    )
    typical_p: float = setting(
        1.0,
        0.0,
        1.0,
        "Keeps tokens of typical surprise until they reach p; 1 is off.",
        open_low=True,
    )
    repetition_penalty: float = setting(
        1.005, 0.0, 100.0, "Weakens tokens seen in prompt or reply; 1 is off.", open_low=True
    )
    presence_penalty: float = setting(
        0.0, -2.0, 2.0, "Subtracted once from tokens seen in the reply; 0 is off."
    )
    frequency_penalty: float = setting(
        0.0, -2.0, 2.0, "Subtracted per occurrence from tokens seen in the reply; 0 is off."
    )
    no_repeat_ngram_size: int = setting(
        0, 0, 2**31 - 1, "Never repeats a run of this many tokens; 0 is off."
    )
    logit_bias: Mapping[int, float] = field(
        default_factory=dict, metadata={"summary": "Added to the logit of each token id named."}
    )
    max_length: int = setting(
        8192, 1, 2**31 - 1, "Prompt and reply together, in tokens; bounded by the context."
    )
    max_new_tokens: int | None = setting(
        None, 1, 2**31 - 1, "The reply alone, in tokens; unset is as many as max length allows."
    )
    min_new_tokens: int = setting(
        0, 0, 2**31 - 1, "No end token, and no stop, before this many tokens."
    )
    ignore_eos: bool = field(
        default=False, metadata={"summary": "Suppress end tokens for the whole reply."}
    )
    stop: tuple[str, ...] = field(
        default=(), metadata={"summary": "End the reply before this text; may be given again."}
    )
    stop_token_ids: tuple[int, ...] = field(
        default=(), metadata={"summary": "End the reply at this token id; may be given again."}
    )
    seed: int | None = setting(
        None, 0, 2**64 - 1, "The same seed gives the same draws; unset is a new one each time."
    )
    stages: tuple[str, ...] = field(
        default=DEFAULT_ORDER, metadata={"summary": "The order in which the stages run."}
    )
    own_stages: tuple[CustomStage, ...] = ()

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if "low" in item.metadata:
                object.__setattr__(self, item.name, _checked_number(item, value))
        for name in ("do_sample", "ignore_eos"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(name, "true or false", getattr(self, name))
        object.__setattr__(self, "logit_bias", _checked_bias(self.logit_bias))
        object.__setattr__(self, "stop", _checked_stop(self.stop))
        object.__setattr__(self, "stop_token_ids", _checked_ids(self.stop_token_ids))
        object.__setattr__(self, "own_stages", validate_custom_stages(self.own_stages))
        object.__setattr__(self, "stages", validate_order(self.stages, self.own_stages))

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken without a draw."""
        return not self.do_sample or self.temperature == 0.0

    def without(self, own_stage: str) -> "SamplingParams":
        """The same settings without that stage of one's own."""
        return replace(
            self,
            own_stages=tuple(stage for stage in self.own_stages if stage.name != own_stage),
            stages=tuple(name for name in self.stages if name != own_stage),
        )


def _range_text(metadata: Mapping[str, Any]) -> str:
    low, high = metadata["low"], metadata["high"]
    if isinstance(low, int):
        return f"a whole number between {low} and {high}"
    if metadata["open_low"]:
        return f"a number above {low:g} and at most {high:g}"
    return f"a number between {low:g} and {high:g}"


def _checked_number(item: Any, value: Any) -> Any:
    if value is None and item.default is None:
        return None
    whole = not isinstance(item.default, float)
    wrong = ParameterError(item.name, _range_text(item.metadata), value)
    if isinstance(value, bool) or not hasattr(value, "__index__" if whole else "__float__"):
        raise wrong
    try:
        number = int(value) if whole else float(value)
    except (TypeError, ValueError, OverflowError):  # an array, or a number beyond every float
        raise wrong from None
    low, high = item.metadata["low"], item.metadata["high"]
    if not low <= number <= high:  # a NaN is not, either
        raise wrong
    if item.metadata["open_low"] and number == low:
        raise wrong
    return number


def _checked_bias(bias: Any) -> Mapping[int, float]:
    allowed = "a mapping of token ids to numbers between -1e38 and 1e38 (-inf forbids a token)"
    if not isinstance(bias, Mapping):
        raise ParameterError("logit_bias", allowed, bias)
    checked: dict[int, float] = {}
    for token_id, value in bias.items():
        if isinstance(token_id, bool) or not hasattr(token_id, "__index__") or int(token_id) < 0:
            raise ParameterError("logit_bias", allowed, token_id)
        checked[int(token_id)] = _checked_bias_value(value, allowed)
    return MappingProxyType(checked)


def _checked_bias_value(value: Any, allowed: str) -> float:
    wrong = ParameterError("logit_bias", allowed, value)
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise wrong
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    if number != -math.inf and not abs(number) <= 1e38:
        raise wrong
    return number


def _checked_stop(stop: Any) -> tuple[str, ...]:
    texts = (stop,) if isinstance(stop, str) else stop
    if not isinstance(texts, Sequence) or not all(isinstance(t, str) and t for t in texts):
        raise ParameterError("stop", "one or more texts that are not empty", stop)
    return tuple(texts)


def _checked_ids(ids: Any) -> tuple[int, ...]:
    whole = isinstance(ids, Sequence) and not isinstance(ids, str | bytes)
    if not whole or not all(
        hasattr(i, "__index__") and not isinstance(i, bool) and int(i) >= 0 for i in ids
    ):
        raise ParameterError("stop_token_ids", "token ids of at least 0", ids)
    return tuple(int(i) for i in ids)
