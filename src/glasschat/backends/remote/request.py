"""Body of a request to /chat/completions: OpenAI's fields, and those of the server's dialect."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from glasschat.backends.remote.dialect import Dialect, samplers
from glasschat.errors import ParameterError
from glasschat.messages import Message
from glasschat.prompt import ChatMessage
from glasschat.sampling import DEFAULT_ORDER, SETTINGS, SamplingParams

MOST_TOP_LOGPROBS = 20
_FEWER = {20: 5, 5: 0, 0: None}


@dataclass(frozen=True, slots=True)
class AcceptedFields:
    """Optional fields that a server has not refused yet; kept from reply to reply.

    `top_logprobs` is the number of candidates to request, None for no log-probabilities at all.
    """

    top_logprobs: int | None = MOST_TOP_LOGPROBS
    counts_usage: bool = True
    limit_field: str = "max_tokens"

    def without(self, refused: str) -> "AcceptedFields | None":
        """Return the fields to try after an error; None where `refused` names none of them."""
        text = refused.lower()
        if "logprob" in text and self.top_logprobs is not None:
            return replace(self, top_logprobs=_FEWER[self.top_logprobs])
        if "stream_options" in text and self.counts_usage:
            return replace(self, counts_usage=False)
        if "max_completion_tokens" in text and self.limit_field == "max_tokens":
            return replace(self, limit_field="max_completion_tokens")
        return None


def effective_params(params: SamplingParams, dialect: Dialect) -> SamplingParams:
    """Return the settings, with those off that have no effect at such a server."""
    # No server has the custom stages of this machine.
    known = tuple(name for name in params.stages if name in DEFAULT_ORDER)
    off = {name: SETTINGS[name].off for name in dialect.not_taken}
    return replace(params, **{"stages": known, **off})


def request_body(
    messages: Sequence[ChatMessage],
    params: SamplingParams,
    dialect: Dialect,
    accepted_fields: AcceptedFields,
    *,
    model: str,
    limit: int | None,
    context: int,
) -> dict[str, Any]:
    """Return the body for /chat/completions; `limit` is the maximum number of new tokens.

    Raises ParameterError for a value that such a server cannot represent.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": wire_messages(messages),
        "stream": True,
        "temperature": params.temperature if params.do_sample else 0.0,
        "top_p": params.top_p,
        **_openai(params, dialect),
        **_beyond(params, dialect),
        **dialect.always,
    }
    if limit is not None:
        body[accepted_fields.limit_field] = limit
    if accepted_fields.counts_usage:
        body["stream_options"] = {"include_usage": True}
    if dialect.has_logprobs and accepted_fields.top_logprobs is not None:
        body["logprobs"] = True
        if accepted_fields.top_logprobs:
            body["top_logprobs"] = accepted_fields.top_logprobs
    if dialect.window and context:
        body[dialect.window] = context
    for name in dialect.length_fields:
        if body.get(name) == -1:
            del body[name]
            if context:
                body[name] = context
    if messages[-1].role == "assistant":
        body.update(dialect.continue_fields or {})
    return body


def wire_messages(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    """Return the turns as OpenAI's API has them, role and content."""
    return [{"role": message.role, "content": message.text} for message in messages]


def _openai(params: SamplingParams, dialect: Dialect) -> dict[str, Any]:
    """Return OpenAI's own fields, those that differ from their neutral values."""
    body: dict[str, Any] = {}
    for name in ("presence_penalty", "frequency_penalty"):
        if (value := getattr(params, name)) and name not in dialect.ignored:
            body[name] = value
    if params.stop:
        body["stop"] = list(params.stop)
    if params.seed is not None:
        body["seed"] = _seed(params.seed, dialect)
    if params.logit_bias:
        body["logit_bias"] = {str(i): _bias(value) for i, value in params.logit_bias.items()}
    return body


def _seed(seed: int, dialect: Dialect) -> int:
    if seed > dialect.max_seed:
        allowed = Message(
            "at most {most:,} where {name} writes the reply",
            most=dialect.max_seed,
            name=dialect.name,
        )
        raise ParameterError("seed", allowed, seed)
    return seed if seed < 2**63 else seed - 2**64


def _bias(value: float) -> float:
    if not -100 <= value <= 100:
        raise ParameterError("logit_bias", "between -100 and 100 for a server elsewhere", value)
    return value


def _beyond(params: SamplingParams, dialect: Dialect) -> dict[str, Any]:
    """Return the settings beyond OpenAI's fields, whether they are off or not."""
    body: dict[str, Any] = {}
    for name, wire in dialect.fields.items():
        value = getattr(params, name)
        if name == "stages":
            value = samplers(dialect, value)
        elif isinstance(value, tuple):
            value = list(value)
        elif name == "do_sample":
            value = not params.greedy
        elif value == SETTINGS[name].off and name in dialect.off:
            value = dialect.off[name]
        body[wire] = value
    return {dialect.wrapped_in: json.dumps(body)} if dialect.wrapped_in else body
