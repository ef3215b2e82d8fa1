"""Trace files: a recorded reply as JSON lines, a header and then one line for each token.

`docs/trace.schema.json` describes every line, `docs/traces.md` what they are for. The format is
lossless: every number that is read equals the one that was written.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from glasschat.chat.node import Origin
from glasschat.chat.params_json import origin_as_json, params_as_json
from glasschat.glass import Trace
from glasschat.sampling import StepRecord

FORMAT = "glasschat-trace"
VERSION = 1


@dataclass(frozen=True, eq=False)
class TraceFile:
    """A trace with its origin, and the bytes of its tokens.

    `pieces` has the bytes of every token that occurs, candidates included; some or all may be
    missing.
    """

    trace: Trace
    origin: Origin = field(default_factory=Origin)
    pieces: Mapping[int, bytes] = field(default_factory=dict)

    def piece(self, token_id: int) -> str:
        """Return the text of a token, invalid UTF-8 replaced; its id in brackets where unknown."""
        found = self.pieces.get(token_id)
        return f"[{token_id}]" if found is None else found.decode("utf-8", errors="replace")


def pieces_of(trace: Trace, token_bytes: Callable[[int], bytes]) -> dict[int, bytes]:
    """Return the bytes of all tokens that occur in `trace`, by token id."""
    ids = {*trace.prompt.ids, *trace.token_ids, *trace.columns.ids.ravel().tolist()} - {-1}
    ids |= {token_id for token_id in trace.end_ids if token_id < trace.vocab_size}
    return {token_id: token_bytes(token_id) for token_id in sorted(ids)}


def trace_lines(file: TraceFile) -> Iterator[str]:
    """Yield the lines of the file, each with its line break."""
    yield _line(_header(file))
    trace = file.trace
    for place, text in enumerate(trace.texts):
        yield _line({"text": text} | _step(trace.record(place)))


def _header(file: TraceFile) -> dict[str, Any]:
    trace = file.trace
    prompt = trace.prompt
    return {
        "format": FORMAT,
        "version": VERSION,
        "origin": origin_as_json(file.origin),
        "params": params_as_json(trace.params),
        "seed": trace.seed,
        "vocab_size": trace.vocab_size,
        "end_ids": sorted(trace.end_ids),
        "prompt": {
            "ids": list(prompt.ids),
            "spans": [asdict(span) for span in prompt.spans],
            "open_reply": None if prompt.open_reply is None else asdict(prompt.open_reply),
            "left_out": list(prompt.left_out),
        },
        "tokens": len(trace),
        "pieces": {str(token_id): _piece(data) for token_id, data in file.pieces.items()},
    }


def _piece(data: bytes) -> str | list[int]:
    """Return the bytes as text, or as a list of numbers where they are no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return list(data)


def _step(record: StepRecord) -> dict[str, Any]:
    plain = record.as_json()
    # JSON has no infinity: the logit of a token that the model itself rules out.
    plain["logit"] = record.logit if math.isfinite(record.logit) else None
    return plain


def _line(plain: Mapping[str, Any]) -> str:
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
