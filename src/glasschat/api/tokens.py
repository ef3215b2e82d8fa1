"""Tokens of a reply as the wire shows them: texts, bytes, log-probabilities, records."""

from collections.abc import Callable, Iterable
from typing import Any

from glasschat.api.responses import (
    Candidate,
    ChatLogprobs,
    CompletionLogprobs,
    Records,
    TokenLogprob,
)
from glasschat.engine import Step
from glasschat.sampling import StepRecord

TokenBytes = Callable[[int], bytes]


def chat_logprobs(steps: Iterable[Step], top: int, token_bytes: TokenBytes) -> ChatLogprobs:
    """Raw log-probabilities of the tokens and of the `top` likeliest in the place of each."""
    content = []
    for step in steps:
        record = _record(step)
        own = _candidate(token_bytes(step.token_id), record.logprob)
        content.append(
            TokenLogprob(
                token=own.token,
                logprob=own.logprob,
                bytes=own.bytes,
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
    """The same as lists; the text of the first token begins `offset` characters on."""
    found = CompletionLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
    for step in steps:
        record = _record(step)
        own = written(token_bytes(step.token_id))
        likeliest: dict[str, float] = {}
        for token_id, logprob in _likeliest(record, top):
            likeliest.setdefault(written(token_bytes(token_id)), logprob)
        # The token that was chosen is among them, whatever its rank.
        likeliest.setdefault(own, record.logprob)
        found.tokens.append(own)
        found.token_logprobs.append(record.logprob)
        found.top_logprobs.append(likeliest)
        found.text_offset.append(offset)
        offset += len(step.text)
    return found


def records(steps: Iterable[Step], token_bytes: TokenBytes) -> Records:
    """How each token was chosen, with its text."""
    found: list[dict[str, Any]] = []
    for step in steps:
        data = token_bytes(step.token_id)
        found.append({"token": written(data), "bytes": [*data], **_record(step).as_json()})
    return found


def written(data: bytes) -> str:
    """The text of a token; of one that is no whole text its bytes, as OpenAI writes them."""
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
