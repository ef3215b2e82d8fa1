"""Files and databases of an earlier glasschat open today as what they were.

`tests/data/written_before` was written by glasschat at commit 30da7c2, before its classes and
functions were renamed and before strangers' JSON went through pydantic.
"""

import gzip
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from glasschat.chat import Ending, Node, Origin, Run, SavedConversation, Tree
from glasschat.chat.exchange import import_file, read_trace
from glasschat.chat.presets import Preset
from glasschat.chat.presets_file import presets_from_file
from glasschat.chat.store import Store, open_store
from glasschat.engine import Timings, Usage
from glasschat.glass import RemoteCandidate, RemoteToken
from glasschat.sampling import CustomStage, SamplingParams
from tests.chat.store.test_traces import same

BEFORE = Path(__file__).parents[1] / "data" / "written_before"
OWNER = "me"

STAGE = CustomStage.of("half", "warper", {"by": 0.5, "on": True, "n": 3, "word": "天空"})
PARAMS = SamplingParams(
    do_sample=True,
    temperature=0.25,
    top_p=0.9,
    top_k=40,
    min_p=0.05,
    typical_p=0.95,
    repetition_penalty=1.1,
    presence_penalty=0.5,
    frequency_penalty=-0.25,
    no_repeat_ngram_size=3,
    max_length=4096,
    max_new_tokens=100,
    min_new_tokens=2,
    stop=("\n\n", "天"),
    stop_token_ids=(3, 5),
    seed=2**64 - 1,
    logit_bias={7: -math.inf, 9: 2.5},
    own_stages=(STAGE,),
    ignore_eos=True,
)
ORIGIN = Origin(
    "SmolLM2 🌊", "sha256:aa", "sha256:bb", {"glasschat": "0.1.0", "llama.cpp": "b1234"}
)
FIRST_RUN = Run(
    PARAMS,
    ORIGIN,
    created=1_700_000_000_000,
    ending=Ending.STOP,
    seed=2**63,
    usage=Usage(20, 5, 3),
    timings=Timings(0.25, 1000.0, 12.5),
)
CUT_RUN = replace(FIRST_RUN, ending=Ending.LENGTH)
FAILED_RUN = replace(FIRST_RUN, ending=Ending.ERROR, first_token=3, error="the engine failed")
TREE = Tree(
    (
        Node("q1", None, "user", "why is the sky blue?\n\x00 🌊 天空", created=5),
        Node("a1", "q1", "assistant", "because", (1, 2, 2**32 - 1), 6, (FIRST_RUN,)),
        Node("a2", "q1", "assistant", "it scatters", (4, 5, 6, 7), 7, (CUT_RUN, FAILED_RUN)),
        Node("q2", "a1", "user", "go on", created=8),
        Node("q3", "a1", "user", "deleted branch", created=9, deleted=True),
        Node("a3", "q2", "assistant", "from elsewhere", None, 10),
        Node("q4", None, "user", "another beginning", created=11),
        Node("a4", "q4", "assistant", "cut", None, 12, (
            Run(SamplingParams(), ending=Ending.INTERRUPTED),
        )),
    ),
    {None: "q1", "q1": "a1", "a1": "q2"},
)  # fmt: skip
BRANCHED = SavedConversation(
    "first-Chat_1",
    "A title 天空",
    True,
    1_600_000_000_000,
    1_700_000_000_000,
    "Be kind.",
    PARAMS,
    TREE,
)
CANCELLED = Node(
    "a", "q", "assistant", "!", (1,), runs=(Run(SamplingParams(), ending=Ending.CANCELLED),)
)
SHORT = SavedConversation(
    "second",
    created=1,
    updated=2,
    tree=Tree((Node("q", None, "user", "?"), CANCELLED), {None: "q", "q": "a"}),
)
EMPTY = SavedConversation("empty")

# Settings that are younger than the files are in none of their presets.
SETTINGS_THEN = (
    "do_sample", "temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty",
    "presence_penalty", "frequency_penalty", "no_repeat_ngram_size", "own_stages", "max_length",
    "max_new_tokens", "min_new_tokens", "stop", "seed",
)  # fmt: skip
PRESETS = (
    Preset("All of it", {name: getattr(PARAMS, name) for name in SETTINGS_THEN}),
    Preset("海 🌊", {"temperature": 0.3, "stop": ("x",)}),
    Preset("plain", {}),
)


def values(presets: Iterable[Preset]) -> list[tuple[str, SamplingParams]]:
    """Names and settings; one that came later is off in a preset of before."""
    return [(preset.name, SamplingParams(**preset.params)) for preset in presets]


def test_exported_chats_are_imported_with_all_their_branches() -> None:
    found = import_file((BEFORE / "chats.json").read_bytes())
    assert found.skipped == ()
    # Deleted branches were not exported.
    exported = replace(BRANCHED, tree=TREE.pruned())
    assert found.conversations == (exported, SHORT, EMPTY)


def test_a_presets_file_is_imported() -> None:
    found = presets_from_file((BEFORE / "presets.json").read_bytes())
    assert values(found.presets) == values(PRESETS)
    assert found.skipped == ()


def test_a_trace_file_is_read_and_imported() -> None:
    lines = (BEFORE / "trace.jsonl").read_bytes().splitlines()
    file = read_trace(lines)
    assert file.trace.params == SamplingParams(seed=3, logit_bias={3: -math.inf})
    assert (file.trace.seed, "".join(file.trace.texts)) == (3, "an answer")
    assert file.origin.versions == {"glasschat": "0.1.0"}
    record = file.trace.record(0)
    assert (chr(record.token_id), record.rank, record.forced) == ("a", 0, False)
    assert record.logit == record.top_logits[0] and len(record.top_ids) > 1
    found = import_file(b"\n".join(lines))
    (saved,) = found.conversations
    texts = [node.text for node in saved.tree.path]
    assert texts == ["first?", "an answer", "second?", "an answer"]
    assert saved.system == "Be kind."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The database of before, in a folder that may be written."""
    path = tmp_path / "conversations.db"
    path.write_bytes(gzip.decompress((BEFORE / "conversations.db.gz").read_bytes()))
    with_store = open_store(path)
    yield with_store
    with_store.close()


def test_a_database_has_all_its_conversations(store: Store) -> None:
    listed = [info.id for info in store.conversations(OWNER).items]
    assert listed == ["first-Chat_1", "with-a-trace", "second", "empty"]
    # Its last reply was still being written, by a process that is no more.
    cut = TREE["a4"]
    tree = Tree(
        tuple(replace(n, text="cut and grown") if n is cut else n for n in TREE.nodes),
        TREE.chosen,
    )
    found = store.load(OWNER, "first-Chat_1")
    assert replace(found, updated=BRANCHED.updated) == replace(BRANCHED, tree=tree)
    assert store.load(OWNER, "second") == SHORT
    assert store.load(OWNER, "empty") == EMPTY
    assert [hit.conversation.id for hit in store.search(OWNER, "scatters")] == ["first-Chat_1"]
    in_order = sorted(PRESETS, key=lambda preset: preset.name)
    assert values(store.presets(OWNER)) == values(in_order)


def test_a_database_has_what_was_recorded_of_its_replies(store: Store) -> None:
    file = read_trace((BEFORE / "trace.jsonl").read_bytes().splitlines())
    saved = store.load(OWNER, "with-a-trace")
    imported, written = (node for node in saved.tree.path[3::2])
    (trace,) = store.traces(OWNER, "with-a-trace", imported.id)
    assert trace is not None and trace.texts == file.trace.texts
    for place in range(len(trace)):
        assert same(trace.record(place), file.trace.record(place))
    (trace,) = store.traces(OWNER, "with-a-trace", written.id)
    assert trace is not None and "".join(trace.texts) == written.text == "an answer"
    assert trace.token_ids[: len(written.ids or ())] == written.ids

    (remote,) = store.remote_traces(OWNER, "second", "a")
    assert remote is not None
    likeliest = RemoteCandidate("!", b"!", -0.5)
    half_character = RemoteCandidate("\ufffd", b"\xe5\xa4", -2.0)
    without_bytes = RemoteCandidate("x", None, -3.0)
    assert remote.steps == (
        RemoteToken("!", likeliest, (likeliest, half_character, without_bytes)),
    )
