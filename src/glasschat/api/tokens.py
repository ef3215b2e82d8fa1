"""Tokens of a reply in responses: texts, bytes, log-probabilities and records of the choice."""

from collections.abc import Callable, Iterable
from typing import Any

from glasschat.api.responses import (
    Candidate,
    ChatLogprobs,
    CompletionLogprobs,
    TokenLogprob,
    TraceRecords,
)
from glasschat.engine import Step
from glasschat.sampling import StepRecord

TokenBytes = Callable[[int], bytes]


def chat_logprobs(steps: Iterable[Step], top: int, token_bytes: TokenBytes) -> ChatLogprobs:
    """Return the log-probabilities of tokens, each with the `top` likeliest at its place.

    They are of the raw logits, before any sampling stage. The steps need their records.
    """
    content = []
    for step in steps:
        record = _record(step)
        chosen = _candidate(token_bytes(step.token_id), record.logprob)
        content.append(
            TokenLogprob(
                token=chosen.token,
                logprob=chosen.logprob,
                bytes=chosen.bytes,
                top_logprobs=[
                    _candidate(token_bytes(token_id), logprob)
                    for token_id, logprob in _likeliest(record, top)
                ],
            )
        )
    return ChatLogprobs(content=content, refusal=None)


def completion_logprobs(
    steps: Iterable[Step], top: int, token_bytes: TokenBytes, offset: int
) -> CompletionLogprobs:
    """Return the log-probabilities of tokens in the form of /v1/completions.

    `offset` is the place of the first token in characters from the start of the text.
    """
    logprobs = CompletionLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
    for step in steps:
        record = _record(step)
        chosen = token_text(token_bytes(step.token_id))
        likeliest: dict[str, float] = {}
        for token_id, logprob in _likeliest(record, top):
            likeliest.setdefault(token_text(token_bytes(token_id)), logprob)
        # The token that was chosen is among them, whatever its rank.
        likeliest.setdefault(chosen, record.logprob)
        logprobs.tokens.append(chosen)
        logprobs.token_logprobs.append(record.logprob)
        logprobs.top_logprobs.append(likeliest)
        logprobs.text_offset.append(offset)
        offset += len(step.text)
    return logprobs


def trace_records(steps: Iterable[Step], token_bytes: TokenBytes) -> TraceRecords:
    """Return for each token its text, its bytes and the record of its choice."""
    records: list[dict[str, Any]] = []
    for step in steps:
        data = token_bytes(step.token_id)
        records.append({"token": token_text(data), "bytes": [*data], **_record(step).as_json()})
    return records


def token_text(data: bytes) -> str:
    """Return the text of a token.

    A token that is not valid UTF-8 by itself becomes `bytes:\\xf0...`, as in OpenAI's API.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def _candidate(data: bytes, logprob: float) -> Candidate:
    return Candidate(token=data.decode(errors="replace"), logprob=logprob, bytes=[*data])


def _likeliest(record: StepRecord, top: int) -> list[tuple[int, float]]:
    pairs = zip(record.top_ids[:top].tolist(), record.top_logits[:top].tolist(), strict=True)
    return [(token_id, logit - record.logsumexp) for token_id, logit in pairs]


def _record(step: Step) -> StepRecord:
    assert step.record is not None, "the request asked for traces"
    return step.record
