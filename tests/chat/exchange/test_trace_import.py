"""The record of a reply becomes a conversation with that reply, and its glass box."""

from pathlib import Path

import pytest

from glasschat.chat import Library, Settings
from glasschat.chat.exchange import TraceFile, import_file, pieces_of, trace_lines
from glasschat.chat.store import open_store
from glasschat.errors import InvalidImport
from glasschat.models.scripted import ScriptedTokenizer
from glasschat.sampling import SamplingParams
from tests.chat.conftest import MakeBackend

ME = "me"


def recorded(make_backend: MakeBackend, *, with_pieces: bool = True) -> tuple[TraceFile, bytes]:
    """A reply in a chat of three turns, as a file."""
    library, backend = Library(), make_backend("an answer")
    conversation = library.new(ME)
    settings = Settings(SamplingParams(seed=3), system="Be kind.")
    conversation.ask(backend, "first?", settings).result(10)
    conversation.ask(backend, "second?", settings).result(10)
    last = conversation.tree.last
    assert last is not None
    trace = conversation.traces(last.id)[0]
    assert trace is not None
    pieces = pieces_of(trace, ScriptedTokenizer().token_bytes) if with_pieces else {}
    file = TraceFile(trace, last.runs[0].origin, pieces)
    return file, "".join(trace_lines(file)).encode()


@pytest.mark.parametrize("kept", [True, False])
def test_it_comes_back_with_all_its_turns(
    make_backend: MakeBackend, tmp_path: Path, kept: bool
) -> None:
    file, data = recorded(make_backend)
    found = import_file(data)
    library = Library(open_store(tmp_path / "kept.db")) if kept else Library()
    (saved,) = found.conversations
    opened = library.find(ME, library.add(ME, saved, found.traces))
    assert opened is not None
    assert opened.saved.system == "Be kind."
    texts = [node.text for node in opened.tree.path]
    assert texts == ["first?", "an answer", "second?", "an answer"]
    last = opened.tree.path[-1]
    (trace,) = opened.traces(last.id)
    assert trace is not None
    assert trace.token_ids == file.trace.token_ids
    assert trace.prompt.ids == file.trace.prompt.ids
    assert trace.record(0).as_json() == file.trace.record(0).as_json()
    assert last.runs[0].seed == 3
    library.close()


def test_what_its_tokens_stand_for_has_to_be_in_it(make_backend: MakeBackend) -> None:
    _file, data = recorded(make_backend, with_pieces=False)
    with pytest.raises(InvalidImport, match="stand for"):
        import_file(data)
