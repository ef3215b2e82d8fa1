"""Pydantic models of a trace file's lines: the header, and a token.

`trace_file.py` writes such files, `docs/trace.schema.json` describes their lines. The models give
the fields in the order in which they are checked: the first that is wrong is reported.
"""

import math
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    BeforeValidator,
    FailFast,
    PlainValidator,
    TypeAdapter,
    ValidationInfo,
)

from glasschat.chat.exchange.field_types import Ids, Number, Text, Whole
from glasschat.chat.exchange.file_model import (
    FileModel,
    at_most,
    check_object,
    no_list,
    read_as,
    refused,
)
from glasschat.chat.exchange.json_import import ExportedOrigin, Params, check_version
from glasschat.chat.exchange.trace_file import FORMAT, TraceFile
from glasschat.chat.node import Origin
from glasschat.engine import Step
from glasschat.errors import InvalidImport
from glasschat.glass import Trace
from glasschat.prompt import OpenReply, PromptEncoding, Span
from glasschat.sampling import TEMPERATURES, TOP_CANDIDATES, Columns, StageRecord, StepRecord

MOST_TOKENS = 1_000_000
MOST_IDS = 2_000_000
LARGEST_VOCABULARY = 2**24
MOST_STAGES = 100
LONGEST_PIECE = 100_000
LONGEST_STAGE_NAME = 100

_FLOAT32 = float(np.finfo(np.float32).max)


def _no_share(name: str) -> InvalidImport:
    return InvalidImport("{name} is no number from 0 to 1", name=name)


def _no_id(name: str) -> InvalidImport:
    return InvalidImport(
        "{name} holds something that is no number of a token or message", name=name
    )


def _no_piece(_: str) -> InvalidImport:
    return InvalidImport("a piece is a text or a list of bytes")


Float32 = Annotated[float, Number(-_FLOAT32, _FLOAT32)]
Share = Annotated[float, Number(0, 1, wrong=_no_share)]
TokenId = Annotated[int, Whole("last_id")]
Rank = Annotated[int, Whole("vocab_size")]
Index = Annotated[int, Whole(MOST_IDS)]
IdList = Annotated[
    tuple[int, ...],
    Ids(
        LARGEST_VOCABULARY,
        MOST_IDS,
        _no_id,
    ),
]


def _check_format(name: Any) -> Any:
    if name != FORMAT:
        raise refused(
            lambda _: InvalidImport(
                "this is no trace: its first line says no format {format}", format=repr(FORMAT)
            )
        )
    return name


# --- the header ---------------------------------------------------------------------------

SpanOrigin = Literal["template", "system", "user", "assistant"]


def _check_origin(origin: str) -> str:
    if origin not in get_args(SpanOrigin):
        raise refused(
            lambda _: InvalidImport(
                "a span's origin is one of {origins}", origins=", ".join(get_args(SpanOrigin))
            )
        )
    return origin


class TraceSpan(FileModel):
    """Ids of the prompt that are of one origin."""

    label = "a span"

    origin: Annotated[SpanOrigin, Text(), AfterValidator(_check_origin)]
    start: Index
    end: Index
    # An index of a message; -1 is not one that files have.
    message: Annotated[int | None, Whole(MOST_IDS, optional=True)]

    def build(self) -> Span:
        """Return the span as prompts have it."""
        return Span(self.start, self.end, self.origin, self.message)


class TraceOpenReply(FileModel):
    """The part of the reply that the prompt ends with."""

    label = "open_reply"

    tokens: Annotated[int, Whole("prompt_tokens")]
    text: Annotated[str, Text()]


def _read_open_reply(plain: Any, info: ValidationInfo) -> OpenReply | None:
    """Return the open reply of a prompt whose ids are known by now, None for null."""
    if plain is None:
        return None
    ids = info.data.get("ids", ())
    fields = TraceOpenReply.model_validate(plain, context={"prompt_tokens": len(ids)})
    return OpenReply(fields.tokens, fields.text)


class TracePrompt(FileModel):
    """What the model has read."""

    label = "prompt"

    ids: IdList
    spans: Annotated[
        list[Annotated[Span, read_as(TraceSpan, TraceSpan.build)]], FailFast(), at_most()
    ]
    open_reply: Annotated[OpenReply | None, PlainValidator(_read_open_reply)]
    left_out: IdList

    def build(self) -> PromptEncoding:
        """Return the prompt. Raises InvalidImport for spans that do not tile it."""
        edges = [0, *(span.end for span in self.spans)]
        starts = [*(span.start for span in self.spans), len(self.ids)]
        if edges != starts:
            raise InvalidImport("the spans do not tile the prompt")
        return PromptEncoding(self.ids, tuple(self.spans), self.open_reply, self.left_out)


def _read_pieces(plain: Any) -> dict[int, bytes]:
    """Return the bytes of tokens by their ids."""
    pieces = check_object(plain, "pieces")
    return {_read_piece_id(name): _read_piece(piece) for name, piece in pieces.items()}


def _read_piece_id(name: str) -> int:
    if not name.isascii() or not name.isdecimal() or len(name) > 9:
        raise refused(
            lambda _: InvalidImport(
                "pieces are named by token ids, not {name}", name=repr(name[:80])
            )
        )
    return int(name)


_BYTES = TypeAdapter(
    Annotated[
        tuple[int, ...],
        Ids(256, LONGEST_PIECE, _no_piece, name="a piece"),
    ]
)


def _read_piece(piece: Any) -> bytes:
    """Return what a token stands for: a text's bytes, or those of a list."""
    if isinstance(piece, str) and len(piece) < LONGEST_PIECE:
        return piece.encode("utf-8", errors="replace")
    return bytes(_BYTES.validate_python(piece))


class TraceHeader(FileModel):
    """The first line of the file."""

    format: Annotated[str, BeforeValidator(_check_format)]
    version: Annotated[int, Whole(2**31), AfterValidator(check_version)]
    vocab_size: Annotated[int, Whole(LARGEST_VOCABULARY)]
    prompt: Annotated[PromptEncoding, read_as(TracePrompt, TracePrompt.build)]
    params: Params
    seed: Annotated[int, Whole(2**64 - 1)]
    end_ids: IdList
    tokens: Annotated[int, Whole(MOST_TOKENS)]
    origin: Annotated[Origin, read_as(ExportedOrigin, ExportedOrigin.build)]
    pieces: Annotated[dict[int, bytes], PlainValidator(_read_pieces)]

    def build(self, steps: list[Step]) -> TraceFile:
        """Return the whole file. Raises InvalidImport for steps that no one run has."""
        try:
            columns = Columns.of([step.record for step in steps if step.record is not None])
        except ValueError as error:
            raise InvalidImport(str(error)) from None
        trace = Trace(
            prompt=self.prompt,
            params=self.params,
            seed=self.seed,
            end_ids=frozenset(self.end_ids),
            vocab_size=self.vocab_size,
            columns=columns,
            texts=tuple(step.text for step in steps),
        )
        return TraceFile(trace, self.origin, self.pieces)


# --- a token ------------------------------------------------------------------------------


def _check_pair(pair: Any) -> list[Any]:
    """Return an id and a logit as they are, and refuse what is no list of two."""
    if not isinstance(pair, list) or len(pair) > 2:
        raise refused(lambda _: no_list("a candidate", 2))
    if len(pair) != 2:
        raise refused(_no_pairs)
    return pair


def _no_pairs(_: str) -> InvalidImport:
    return InvalidImport("top is no list of 1 to 64 pairs of id and logit")


def _check_order(top: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the candidates, and refuse those that are not each once, likeliest first."""
    if not top:
        raise refused(_no_pairs)
    repeated = len({token_id for token_id, _ in top}) != len(top)
    if repeated or any(next_ > logit for (_, logit), (_, next_) in pairwise(top)):
        raise refused(lambda _: InvalidImport("the candidates are not each once, likeliest first"))
    return top


def _check_tail(tail: list[float]) -> list[float]:
    if len(tail) != len(TEMPERATURES):
        raise refused(lambda _: InvalidImport("tail has {count} numbers", count=len(TEMPERATURES)))
    return tail


def _check_bool(value: Any) -> Any:
    if not isinstance(value, bool):
        raise refused(lambda _: InvalidImport("forced is true or false"))
    return value


def _check_draw(u: float | None) -> float | None:
    if u is not None and not 0 <= u < 1:
        raise refused(lambda _: InvalidImport("u is at least 0 and below 1"))
    return u


def _or_nothing(logarithm: float | None) -> float:
    """Return a logarithm; null is that of 0, which JSON cannot write."""
    return -math.inf if logarithm is None else logarithm


Weight = Annotated[
    float,
    Number(-_FLOAT32, _FLOAT32, optional=True, name="a weight"),
    AfterValidator(_or_nothing),
]
Pair = Annotated[
    tuple[
        Annotated[int, Whole("last_id", name="id")],
        Annotated[float, Number(-_FLOAT32, _FLOAT32, name="logit")],
    ],
    BeforeValidator(_check_pair),
]


class TraceStage(FileModel):
    """What one stage has left of the candidates."""

    label = "a stage"

    name: Annotated[str, Text()]
    kept: Rank
    mass: Share
    logsumexp: Float32
    best: TokenId
    measured: Annotated[
        float | None, Number(-_FLOAT32, _FLOAT32, optional=True, name="measured")
    ] = None

    def build(self) -> StageRecord:
        """Return the stage's record, its name cut to the longest allowed."""
        return StageRecord(
            name=self.name[:LONGEST_STAGE_NAME],
            kept=self.kept,
            mass=self.mass,
            logsumexp=self.logsumexp,
            best=self.best,
            measured=self.measured,
        )


class TraceLine(FileModel):
    """A token: how it was chosen, and the text that it released. The context has `vocab_size`."""

    token_id: TokenId
    top: Annotated[list[Pair], FailFast(), at_most(TOP_CANDIDATES), AfterValidator(_check_order)]
    tail: Annotated[
        list[Weight], FailFast(), at_most(len(TEMPERATURES)), AfterValidator(_check_tail)
    ]
    forced: Annotated[bool, BeforeValidator(_check_bool)]
    u: Annotated[float | None, Number(optional=True), AfterValidator(_check_draw)]
    logit: Annotated[float, Number(-_FLOAT32, _FLOAT32, optional=True), AfterValidator(_or_nothing)]
    logsumexp: Float32
    entropy: Float32
    rank: Rank
    probability: Share
    seen: Weight
    stages: Annotated[
        list[Annotated[StageRecord, read_as(TraceStage, TraceStage.build)]],
        FailFast(),
        at_most(MOST_STAGES),
    ]
    text: Annotated[str, Text()]

    def build(self) -> Step:
        """Return the token as the engine would have written it."""
        record = StepRecord(
            token_id=self.token_id,
            logit=self.logit,
            logsumexp=self.logsumexp,
            entropy=self.entropy,
            rank=self.rank,
            probability=self.probability,
            u=self.u,
            forced=self.forced,
            top_ids=np.array([token_id for token_id, _ in self.top], np.int32),
            top_logits=np.array([logit for _, logit in self.top], np.float32),
            tail=tuple(self.tail),
            seen=self.seen,
            stages=tuple(self.stages),
        )
        return Step(self.token_id, self.text, record)
