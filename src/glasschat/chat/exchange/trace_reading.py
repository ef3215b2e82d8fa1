"""A file with a recorded reply, from wherever it came: read, or refused with its line."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np

from glasschat.chat.exchange.own_format import origin_from_json
from glasschat.chat.exchange.plain import (
    line_parsed,
    list_of,
    mapping_of,
    number_of,
    text_of,
    whole_of,
)
from glasschat.chat.exchange.trace_file import FORMAT, VERSION, TraceFile
from glasschat.chat.params_json import params_from_json
from glasschat.engine import Step
from glasschat.errors import GlasschatError, InvalidImport
from glasschat.glass import Trace
from glasschat.prompt import OpenReply, PromptEncoding, Span
from glasschat.sampling import TEMPERATURES, TOP_CANDIDATES, Columns, StageRecord, StepRecord

MOST_TOKENS = 1_000_000
MOST_IDS = 2_000_000
LONGEST_LINE = 64 * 2**20
_LARGEST_VOCABULARY = 2**24
_MOST_STAGES = 100
_LARGEST = float(np.finfo(np.float32).max)
_ORIGINS = ("template", "system", "user", "assistant")


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of an open file, none longer than what is refused anyway."""
    while line := stream.readline(LONGEST_LINE + 2):
        yield line


def read_trace(lines: Iterable[bytes]) -> TraceFile:
    """The trace of a file's lines. Raises InvalidImport, naming the line.

    The lines are taken one by one: a file that is no trace is refused at its first. A last line
    that was cut off is one of those that are refused, and so is a file with fewer tokens than its
    header says.
    """
    number, file = 0, None
    steps: list[Step] = []
    try:
        for line in lines:
            number += 1
            if file is None:
                count, file = _header(_plain(line))
            elif line.strip():
                if len(steps) == count:
                    raise InvalidImport(f"the header says {count:,} tokens, and there are more")
                steps.append(_step(_plain(line), file.trace.vocab_size))
        if file is None:
            raise InvalidImport("the file is empty")
        if len(steps) != count:
            raise InvalidImport(f"the header says {count:,} tokens, and {len(steps):,} are there")
        return _whole(file, steps)
    except GlasschatError as error:
        raise InvalidImport(f"line {max(number, 1)}: {error}") from None


def _whole(file: TraceFile, steps: list[Step]) -> TraceFile:
    trace = file.trace
    try:
        columns = Columns.of([step.record for step in steps if step.record is not None])
    except ValueError as error:
        raise InvalidImport(str(error)) from None
    texts = tuple(step.text for step in steps)
    filled = Trace(
        trace.prompt, trace.params, trace.seed, trace.end_ids, trace.vocab_size, columns, texts
    )
    return TraceFile(filled, file.origin, file.pieces)


def _plain(line: bytes) -> Mapping[str, Any]:
    if len(line) > LONGEST_LINE:
        raise InvalidImport(f"it is longer than {LONGEST_LINE / 2**20:,.0f} MB")
    return mapping_of(line_parsed(line), "it")


def _header(plain: Mapping[str, Any]) -> tuple[int, TraceFile]:
    if plain.get("format") != FORMAT:
        raise InvalidImport(f"this is no trace: its first line says no format {FORMAT!r}")
    version = whole_of(plain, "version", 2**31)
    if version > VERSION:
        raise InvalidImport(
            f"the file is of version {version} and this glasschat reads up to {VERSION}: update it"
        )
    vocab_size = whole_of(plain, "vocab_size", _LARGEST_VOCABULARY)
    trace = Trace(
        prompt=_prompt(mapping_of(plain.get("prompt"), "prompt")),
        params=params_from_json(mapping_of(plain.get("params"), "params")),
        seed=whole_of(plain, "seed", 2**64 - 1),
        end_ids=frozenset(_ids(plain, "end_ids")),
        vocab_size=vocab_size,
        columns=Columns.of(()),
        texts=(),
    )
    pieces = mapping_of(plain.get("pieces"), "pieces")
    return whole_of(plain, "tokens", MOST_TOKENS), TraceFile(
        trace,
        origin_from_json(mapping_of(plain.get("origin"), "origin")),
        {_id(name): _piece(piece) for name, piece in pieces.items()},
    )


def _prompt(plain: Mapping[str, Any]) -> PromptEncoding:
    ids = _ids(plain, "ids")
    spans = tuple(
        _span(mapping_of(span, "a span")) for span in list_of(plain.get("spans"), "spans")
    )
    edges = [0, *(span.end for span in spans)]
    if edges[-1] != len(ids) or any(s.start != at for s, at in zip(spans, edges, strict=False)):
        raise InvalidImport("the spans do not tile the prompt")
    again = plain.get("open_reply")
    open_reply = None
    if again is not None:
        again = mapping_of(again, "open_reply")
        open_reply = OpenReply(whole_of(again, "tokens", len(ids)), text_of(again, "text"))
    return PromptEncoding(ids, spans, open_reply, _ids(plain, "left_out"))


def _span(plain: Mapping[str, Any]) -> Span:
    origin = text_of(plain, "origin")
    if origin not in _ORIGINS:
        raise InvalidImport(f"a span's origin is one of {', '.join(_ORIGINS)}")
    start, end = whole_of(plain, "start", MOST_IDS), whole_of(plain, "end", MOST_IDS)
    message = plain.get("message")
    # An index of a message; -1 is not one that files have.
    number = None if message is None else whole_of(plain, "message", MOST_IDS)
    return Span(start, end, origin, number)  # type: ignore[arg-type]


def _step(plain: Mapping[str, Any], vocab_size: int) -> Step:
    token_id = whole_of(plain, "token_id", vocab_size - 1)
    top = list_of(plain.get("top"), "top", TOP_CANDIDATES)
    pairs = [list_of(pair, "a candidate", 2) for pair in top]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise InvalidImport("top is no list of 1 to 64 pairs of id and logit")
    named = [{"id": pair[0], "logit": pair[1]} for pair in pairs]
    ids = [whole_of(pair, "id", vocab_size - 1) for pair in named]
    logits = [_finite(pair, "logit") for pair in named]
    if len(set(ids)) != len(ids) or any(two > one for one, two in pairwise(logits)):
        raise InvalidImport("the candidates are not each once, likeliest first")
    tail = tuple(_weight(x) for x in list_of(plain.get("tail"), "tail", len(TEMPERATURES)))
    if len(tail) != len(TEMPERATURES):
        raise InvalidImport(f"tail has {len(TEMPERATURES)} numbers")
    if not isinstance(plain.get("forced"), bool):
        raise InvalidImport("forced is true or false")
    u = number_of(plain, "u")
    if u is not None and not 0 <= u < 1:
        raise InvalidImport("u is at least 0 and below 1")
    record = StepRecord(
        token_id=token_id,
        logit=-np.inf if plain.get("logit") is None else _finite(plain, "logit"),
        logsumexp=_finite(plain, "logsumexp"),
        entropy=_finite(plain, "entropy"),
        rank=whole_of(plain, "rank", vocab_size),
        probability=_share(plain, "probability"),
        u=u,
        forced=plain["forced"],
        top_ids=np.array(ids, np.int32),
        top_logits=np.array(logits, np.float32),
        tail=tail,
        seen=_weight(plain.get("seen")),
        stages=tuple(
            _stage(mapping_of(stage, "a stage"), vocab_size)
            for stage in list_of(plain.get("stages"), "stages", _MOST_STAGES)
        ),
    )
    return Step(token_id, text_of(plain, "text"), record)


def _stage(plain: Mapping[str, Any], vocab_size: int) -> StageRecord:
    return StageRecord(
        name=text_of(plain, "name")[:100],
        kept=whole_of(plain, "kept", vocab_size),
        mass=_share(plain, "mass"),
        logsumexp=_finite(plain, "logsumexp"),
        best=whole_of(plain, "best", vocab_size - 1),
    )


def _weight(value: Any) -> float:
    """The logarithm of what tokens weigh; none for none of them."""
    return -np.inf if value is None else _finite({"a weight": value}, "a weight")


def _finite(plain: Mapping[str, Any], name: str) -> float:
    """A number that float32 holds, as all of a model's do."""
    value = number_of(plain, name)
    if value is None or abs(value) > _LARGEST:
        raise InvalidImport(f"{name} is no number of a bearable size")
    return value


def _share(plain: Mapping[str, Any], name: str) -> float:
    value = number_of(plain, name)
    if value is None or not 0 <= value <= 1:
        raise InvalidImport(f"{name} is no number from 0 to 1")
    return value


def _ids(plain: Mapping[str, Any], name: str) -> tuple[int, ...]:
    ids = list_of(plain.get(name), name, MOST_IDS)
    if not all(type(i) is int and 0 <= i < _LARGEST_VOCABULARY for i in ids):
        raise InvalidImport(f"{name} holds something that is no number of a token or message")
    return tuple(ids)


def _id(name: str) -> int:
    if not name.isascii() or not name.isdecimal() or len(name) > 9:
        raise InvalidImport(f"pieces are named by token ids, not {name[:80]!r}")
    return int(name)


def _piece(piece: Any) -> bytes:
    if isinstance(piece, str) and len(piece) < 100_000:
        return piece.encode("utf-8", errors="replace")
    listed = list_of(piece, "a piece", 100_000)
    if not all(type(byte) is int and 0 <= byte < 256 for byte in listed):
        raise InvalidImport("a piece is a text or a list of bytes")
    return bytes(listed)
