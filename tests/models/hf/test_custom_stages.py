"""One's own stage on a folder's runner: the same loop, the same record, the same glass box."""

from pathlib import Path

from glasschat.engine import Engine
from glasschat.glass import Trace
from glasschat.glass.rebuild import rebuild
from glasschat.models.base import Model, ModelInfo
from glasschat.models.scripted import ScriptedTokenizer
from glasschat.sampling import SamplingParams, StageClasses
from tests.support.hf_families import CONTEXT, ours, stock
from tests.support.own_stages import Half, Letters

CLASSES = StageClasses.of([Letters, Half])


def test_a_stage_runs_on_a_folder_as_on_a_file() -> None:
    info = ModelInfo("tiny", Path("tiny"), "llama", "float32", 0, 0, CONTEXT, 260)
    runner = ours(stock("llama", vocab_size=260), slots=2)
    own = CLASSES.configure({"letters": {"by": 50.0}, "half": {}})
    params = SamplingParams(seed=3, max_new_tokens=8, own_stages=own, top_p=0.5)
    with Engine(Model(info, ScriptedTokenizer(), runner), stage_classes=CLASSES) as engine:
        generation = engine.submit([*b"Say it"], params)
        generation.result(60)
    trace = Trace.of(generation)
    assert trace is not None
    assert trace.columns.stages == (
        "repetition_penalty", "letters", "temperature", "top_p", "half",
    )  # fmt: skip
    assert not any(chr(token_id).islower() for token_id in trace.token_ids if token_id < 256)
    assert (trace.columns.kept[:, 4] <= (trace.columns.kept[:, 3] + 2) // 2).all()
    # Behind a custom stage a choice is certain where one token alone was left.
    certain = rebuild(trace).final.certain
    assert (certain == (trace.columns.kept[:, -1] == 1)).all()
