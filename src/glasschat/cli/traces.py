"""Trace files, as commands read, write and print them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glasschat.backends import LocalBackend
from glasschat.chat import Origin
from glasschat.chat.exchange import TraceFile, lines_of, pieces_of, read_trace, trace_lines
from glasschat.cli.terminal import printable
from glasschat.errors import InvalidImport
from glasschat.glass import Diff, Side, Trace
from glasschat.sampling import CustomStage


def read_trace_file(path: str) -> TraceFile:
    """Read a trace from a file. Raises InvalidImport, which names file and line."""
    try:
        with Path(path).open("rb") as stream:
            return read_trace(lines_of(stream))
    except OSError as error:
        raise InvalidImport(
            "{path} cannot be read: {reason}", path=path, reason=error.strerror or error
        ) from None
    except InvalidImport as error:
        raise InvalidImport("{path}, {error}", path=path, error=error) from None


def write_trace_file(path: str, file: TraceFile) -> None:
    """Write a trace to a file. Raises InvalidImport if the file cannot be written."""
    try:
        with Path(path).open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(trace_lines(file))
    except OSError as error:
        raise InvalidImport(
            "{path} cannot be written: {reason}", path=path, reason=error.strerror or error
        ) from None


def to_trace_file(backend: LocalBackend, trace: Trace) -> TraceFile:
    """Return a trace with the name of its model and the texts of its tokens."""
    about = backend.describe()
    provenance = about.provenance
    origin = Origin(
        about.name,
        provenance.model_fingerprint,
        provenance.template_fingerprint,
        provenance.versions,
    )
    return TraceFile(trace, origin, pieces_of(trace, backend.engine.model.tokenizer.token_bytes))


def diff_json(found: Diff, one: TraceFile, two: TraceFile) -> dict[str, Any]:
    """Return a comparison as a JSON object. A difference of logits that is infinite becomes null.

    It is infinite where the two share no candidate.
    """
    plain = asdict(found)
    for name in ("logit_difference", "largest"):
        plain[name] = None if plain[name] == float("inf") else plain[name]
    plain["same"] = found.same
    if found.sides is not None:
        plain["text_before"] = _text_before(one, found.place or 0)
        for side, file in zip(plain["sides"], (one, two), strict=True):
            token_id = side["token_id"]
            side["text"] = None if token_id is None else file.piece(token_id)
    return plain


def diff_lines(found: Diff, one: TraceFile, two: TraceFile, names: tuple[str, str]) -> list[str]:
    """Return a comparison as lines of text."""
    lines = []
    if found.prompt_place is not None:
        lines.append(f"the prompts differ from their id {found.prompt_place} on")
    for name in found.settings:
        left, right = (_setting_text(getattr(file.trace.params, name)) for file in (one, two))
        lines.append(f"{name}: {left} and {right}")
    if found.seeds:
        lines.append(f"seed: {one.trace.seed} and {two.trace.seed}")
    if found.compared:
        lines.append(_logits_line(found))
    if found.sides is None or found.place is None:
        lines.append(f"all {len(one.trace):,} tokens are the same")
        return lines
    lines.append(f"token {found.place + 1:,} is the first that differs, behind")
    lines.append(f"  … {_quoted(_text_before(one, found.place))}")
    width = max(map(len, names))
    for name, side, file in zip(names, found.sides, (one, two), strict=True):
        lines.append(f"{name:<{width}}  {_side_text(side, file)}")
    return lines


def _setting_text(value: Any) -> Any:
    if isinstance(value, tuple) and any(isinstance(item, CustomStage) for item in value):
        return ", ".join(map(str, value))
    return value


def _logits_line(found: Diff) -> str:
    if found.logit_place is None:
        return f"the logits of {found.compared:,} tokens are equal to the last bit"
    return (
        f"the logits differ from token {found.logit_place + 1:,} on, by "
        f"{found.logit_difference:.3g} there and by {found.largest:.3g} at most in "
        f"{found.compared:,} tokens"
    )


def _side_text(side: Side, file: TraceFile) -> str:
    if side.token_id is None or side.probability is None or side.drawn is None:
        return "(the reply has ended)"
    text = f"{_quoted(file.piece(side.token_id))}  id {side.token_id}"
    odds = f"{side.probability:.2%} by the model, {side.drawn:.2%} when drawn"
    other = "" if side.other is None else f"; {side.other:.2%} for the other's token"
    return f"{text}  {odds}{other}"


def _text_before(file: TraceFile, place: int) -> str:
    """Return the last 60 characters before a token."""
    return "".join(file.trace.texts[:place])[-60:]


def _quoted(text: str) -> str:
    return printable(json.dumps(text, ensure_ascii=False))
