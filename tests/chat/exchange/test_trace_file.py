"""A trace as a file: it comes back number for number, and a file that is none is refused."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from glasschat.chat import Origin
from glasschat.chat.exchange import TraceFile, lines_of, pieces_of, read_trace, trace_lines
from glasschat.errors import InvalidImport
from glasschat.sampling import SamplingParams
from tests.chat.store.test_traces import same
from tests.glass.recordings import RECORDINGS, Recording, record
from tests.sampling.rows import make_row

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "trace.schema.json").read_text(encoding="utf-8")
)
ORIGIN = Origin("a <b>model</b>", "sampled-sha256:ab", "sha256:cd", {"glasschat": "0.1.0"})


def piece(token_id: int) -> bytes:
    return bytes([token_id % 256])


def small() -> TraceFile:
    rows = [make_row(seed, 300, "normal", 2.0, 0.0) for seed in range(3)]
    params = SamplingParams(seed=2**64 - 1, logit_bias={3: float("-inf")})
    trace = record(rows, params, earlier=[4], forced=1).trace
    return TraceFile(trace, ORIGIN, pieces_of(trace, piece))


def lines(file: TraceFile) -> list[bytes]:
    return [line.encode() for line in trace_lines(file)]


@given(RECORDINGS)
def test_a_trace_comes_back_number_by_number(recording: Recording) -> None:
    file = TraceFile(recording.trace, ORIGIN, pieces_of(recording.trace, piece))
    written = lines(file)
    for line in written:
        jsonschema.validate(json.loads(line), SCHEMA)
    found = read_trace(written)
    assert (found.origin, found.pieces) == (ORIGIN, file.pieces)
    read, trace = found.trace, recording.trace
    assert (read.prompt, read.params, read.seed) == (trace.prompt, trace.params, trace.seed)
    assert (read.end_ids, read.vocab_size, read.texts) == (
        trace.end_ids,
        trace.vocab_size,
        trace.texts,
    )
    for place in range(len(trace)):
        assert same(read.record(place), trace.record(place))


def test_a_file_is_read_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "reply.jsonl"
    path.write_text("".join(trace_lines(small())), encoding="utf-8")
    with path.open("rb") as stream:
        assert len(read_trace(lines_of(stream)).trace) == 3


def test_pieces_are_texts_or_bytes_and_none_is_a_number() -> None:
    file = TraceFile(small().trace, pieces={65: b"A", 200: b"\xc8"})
    assert [file.piece(i) for i in (65, 200, 7)] == ["A", "\ufffd", "[7]"]
    written = json.loads(lines(file)[0])["pieces"]
    assert written == {"65": "A", "200": [200]}


Change = Any


def header(**changed: Change) -> list[bytes]:
    first, *rest = lines(small())
    return [json.dumps(json.loads(first) | changed).encode(), *rest]


def token(**changed: Change) -> list[bytes]:
    first, second, *rest = lines(small())
    return [first, json.dumps(json.loads(second) | changed).encode(), *rest]


def stage(**changed: Change) -> list[bytes]:
    plain = json.loads(lines(small())[1])
    return token(stages=[plain["stages"][0] | changed, *plain["stages"][1:]])


PROMPT = json.loads(lines(small())[0])["prompt"]


@pytest.mark.parametrize(
    ("spoilt", "complaint"),
    [
        ([], "line 1: the file is empty"),
        ([b"\xff\xfe"], "line 1: it is not text"),
        ([b"{"], "line 1: it is no JSON"),
        ([b"[" * 100_000], "line 1: it is nested too deep"),
        ([b'{"format": "other"}'], "line 1: this is no trace"),
        ([b"[]"], "line 1: it is no object"),
        (header(version=2), "version 2 and this glasschat reads up to 1"),
        (header(tokens=2), "line 4: the header says 2 tokens, and there are more"),
        (header(tokens=9), "line 4: the header says 9 tokens, and 3 are there"),
        (header(tokens=10**9), "line 1: tokens is no whole number"),
        (header(seed=-1), "line 1: seed"),
        (header(vocab_size=10**12), "line 1: vocab_size"),
        (header(params={"top_p": 7}), "line 1: top_p must be"),
        (header(params=[]), "line 1: params"),
        (header(end_ids=["x"]), "line 1: end_ids"),
        (header(prompt=PROMPT | {"spans": []}), "line 1: the spans do not tile the prompt"),
        (header(prompt=PROMPT | {"ids": [1]}), "line 1: the spans do not tile the prompt"),
        (header(prompt=PROMPT | {"open_reply": {"tokens": 99, "text": ""}}), "line 1: tokens"),
        (header(pieces={"../x": "y"}), "line 1: pieces are named by token ids"),
        (header(pieces={"1": [256]}), "line 1: a piece"),
        (token(token_id=300), "line 2: token_id"),
        (token(u=1.0), "line 2: u is at least 0 and below 1"),
        (token(u="0.5"), "line 2: u is no number"),
        (token(logsumexp=1e300), "line 2: logsumexp"),
        (token(probability=1.5), "line 2: probability"),
        (token(top=[]), "line 2: top"),
        (token(top=[[1, 2.0], [1, 1.0]]), "line 2: the candidates are not each once"),
        (token(top=[[1, 1.0], [2, 2.0]]), "line 2: the candidates are not each once"),
        (token(top=[[1]]), "line 2: top is no list"),
        (token(top=[[i, 0.0] for i in range(65)]), "line 2: top"),
        (token(tail=[0.0]), "line 2: tail has 5 numbers"),
        (token(seen="x"), "line 2: a weight is no number"),
        (token(forced=1), "line 2: forced"),
        (token(text=3), "line 2: text"),
        (token(stages=[]), "the records of one run have the same stages"),
        (stage(name="other"), "the records of one run have the same stages"),
        (stage(mass=2), "line 2: mass"),
        (stage(kept=-1), "line 2: kept"),
        ([*lines(small())[:-1], lines(small())[-1][:40]], "line 4: it is no JSON"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_its_line(
    spoilt: list[bytes], complaint: str
) -> None:
    with pytest.raises(InvalidImport) as refused:
        read_trace(spoilt)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_endless_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "zeros"
    with path.open("wb") as stream:
        stream.truncate(300 * 2**20)
    with path.open("rb") as stream, pytest.raises(InvalidImport, match="longer than 64 MB"):
        read_trace(lines_of(stream))
