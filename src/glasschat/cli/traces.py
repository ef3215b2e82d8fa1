"""Files with recorded replies, as commands read, write and print them."""

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
    """The trace in a file. Raises InvalidImport, naming file and line."""
    try:
        with Path(path).open("rb") as stream:
            return read_trace(lines_of(stream))
    except OSError as error:
        raise InvalidImport(f"{path} cannot be read: {error.strerror or error}") from None
    except InvalidImport as error:
        raise InvalidImport(f"{path}, {error}") from None


def write_trace_file(path: str, file: TraceFile) -> None:
    """Write the file. Raises InvalidImport where that cannot be."""
    try:
        with Path(path).open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(trace_lines(file))
    except OSError as error:
        raise InvalidImport(f"{path} cannot be written: {error.strerror or error}") from None


def described(backend: LocalBackend, trace: Trace) -> TraceFile:
    """The trace with what its model is called, and what its tokens stand for."""
    about = backend.describe()
    told = about.provenance
    origin = Origin(about.name, told.model_fingerprint, told.template_fingerprint, told.versions)
    return TraceFile(trace, origin, pieces_of(trace, backend.engine.model.tokenizer.token_bytes))


def as_json(found: Diff, one: TraceFile, two: TraceFile) -> dict[str, Any]:
    """A comparison as one object; the logits of what shares no candidate differ by null."""
    plain = asdict(found)
    for name in ("logit_difference", "largest"):
        plain[name] = None if plain[name] == float("inf") else plain[name]
    plain["same"] = found.same
    if found.sides is not None:
        plain["text_before"] = _before(one, found.place or 0)
        for side, file in zip(plain["sides"], (one, two), strict=True):
            token_id = side["token_id"]
            side["text"] = None if token_id is None else file.piece(token_id)
    return plain


def told(found: Diff, one: TraceFile, two: TraceFile, names: tuple[str, str]) -> list[str]:
    """A comparison in lines for people."""
    lines = []
    if found.prompt_place is not None:
        lines.append(f"the prompts differ from their id {found.prompt_place} on")
    for name in found.settings:
        left, right = (_setting(getattr(file.trace.params, name)) for file in (one, two))
        lines.append(f"{name}: {left} and {right}")
    if found.seeds:
        lines.append(f"seed: {one.trace.seed} and {two.trace.seed}")
    if found.compared:
        lines.append(_logits(found))
    if found.sides is None or found.place is None:
        lines.append(f"all {len(one.trace):,} tokens are the same")
        return lines
    lines.append(f"token {found.place + 1:,} is the first that differs, behind")
    lines.append(f"  … {_shown(_before(one, found.place))}")
    width = max(map(len, names))
    for name, side, file in zip(names, found.sides, (one, two), strict=True):
        lines.append(f"{name:<{width}}  {_side(side, file)}")
    return lines


def _setting(value: Any) -> Any:
    if isinstance(value, tuple) and any(isinstance(item, CustomStage) for item in value):
        return ", ".join(map(str, value))
    return value


def _logits(found: Diff) -> str:
    if found.logit_place is None:
        return f"the logits of {found.compared:,} tokens are equal to the last bit"
    return (
        f"the logits differ from token {found.logit_place + 1:,} on, by "
        f"{found.logit_difference:.3g} there and by {found.largest:.3g} at most in "
        f"{found.compared:,} tokens"
    )


def _side(side: Side, file: TraceFile) -> str:
    if side.token_id is None or side.probability is None or side.drawn is None:
        return "(the reply has ended)"
    text = f"{_shown(file.piece(side.token_id))}  id {side.token_id}"
    odds = f"{side.probability:.2%} by the model, {side.drawn:.2%} when drawn"
    other = "" if side.other is None else f"; {side.other:.2%} for the other's token"
    return f"{text}  {odds}{other}"


def _before(file: TraceFile, place: int) -> str:
    """The last of the text before that token."""
    return "".join(file.trace.texts[:place])[-60:]


def _shown(text: str) -> str:
    return printable(json.dumps(text, ensure_ascii=False))
