"""The page about a stage of one's own tells the truth: what it shows is written, tested and run."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from glasschat.chat.exchange import lines_of, read_trace
from glasschat.cli import main
from glasschat.errors import InvalidStage
from glasschat.glass import setting_effects, waterfall
from glasschat.glass.rebuild import rebuild
from glasschat.sampling import load_stages
from tests.support.browser import free_port

PAGE = Path(__file__).parents[1] / "docs" / "own-stage.md"
FILES = ("eta_stage.py", "test_eta_stage.py", "pyproject.toml")
SHORT = ["--context", "512", "--exact", "--max-new-tokens", "12", "--seed", "4"]
ETA = ["--stage", "eta_stage:EtaCut"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a reader has who copied the three files and installed them."""
    folder = tmp_path_factory.mktemp("glasschat-eta")
    for name in FILES:
        told = re.search(rf"`{re.escape(name)}`.*?```\w+\n(.*?)```", PAGE.read_text("utf-8"), re.S)
        assert told is not None
        (folder / name).write_text(told[1], encoding="utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    about = folder / "glasschat_eta-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    [(group, offered)] = project["entry-points"].items()
    points = "\n".join(f"{name} = {value}" for name, value in offered.items())
    (about / "entry_points.txt").write_text(f"[{group}]\n{points}\n")
    yield folder
    sys.modules.pop("eta_stage", None)


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In that folder, which is not on the path."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture(scope="module")
def trace(folder: Path) -> Path:
    """A reply that the real model wrote with it."""
    path = folder / "reply.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        given = [*ETA, "--stage-setting", "eta.epsilon=0.01", "--stage-setting", "eta.keep=2"]
        told = ["--top-k", "40", "--top-p", "1", "--temperature", "1", "--trace-file", str(path)]
        assert main(["ask", *SHORT, *given, *told, "Name a colour."]) == 0
    return path


def test_its_test_passes(folder: Path) -> None:
    sys.path.append(str(folder))
    module = ModuleType("test_eta_stage")
    exec((folder / "test_eta_stage.py").read_text("utf-8"), vars(module))
    for epsilon, keep in module.test_it_is_transformers_eta.pytestmark[0].args[1]:
        module.test_it_is_transformers_eta(epsilon, keep)


def test_a_package_offers_it_and_nothing_is_imported_unasked(folder: Path) -> None:
    sys.modules.pop("eta_stage", None)
    sys.path.append(str(folder))
    with pytest.raises(InvalidStage, match=r"\(offered: eta\)"):
        load_stages(["nothing"])
    assert "eta_stage" not in sys.modules
    [eta] = load_stages(["eta"])
    assert (eta.name, eta.kind, eta.label) == ("eta", "warper", "Eta cut")
    epsilon, keep = eta.settings
    assert (epsilon.label, epsilon.step, keep.label) == ("Epsilon", 0.0001, "Keep at least")


def test_the_real_model_writes_with_it_and_the_glass_box_knows_what_it_did(trace: Path) -> None:
    with trace.open("rb") as stream:
        read = read_trace(lines_of(stream)).trace
    [asked] = read.params.own_stages
    assert asked.values == {"epsilon": 0.01, "keep": 2}
    assert read.columns.stages[-1] == "eta" and (read.columns.kept[:, -1] < 49_152).all()
    several = read.columns.kept[:, -1] > 1
    assert (rebuild(read).final.unknown == several).all(), "its class is not in a file"
    sys.path.append(str(trace.parent))
    read = replace(read, stage_classes=load_stages(["eta"]))
    # Top-k left listed candidates alone, so the stage runs again and is exact.
    assert rebuild(read).final.certain.all()
    place = int(np.argmax(read.columns.kept[:, -1] < read.columns.kept[:, -2]))
    found = waterfall(read, place)
    assert (found.columns[-1].name, found.columns[-1].unavailable) == ("eta", False)
    assert found.columns[-1].kept == read.columns.kept[place, -1] and found.columns[-1].certain
    assert any(c.removed_by == "eta" for c in found.candidates)
    assert "eta" in [effect.setting for effect in setting_effects(read)]


def test_it_replays_with_the_class_and_not_without(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["replay", "--context", "512", *ETA, str(trace)]) == 0
    assert "all 12 tokens are the same" in capsys.readouterr().out
    assert main(["replay", "--context", "512", str(trace)]) == 2
    assert capsys.readouterr().err == (
        "glasschat replay: error: the stage eta is not here: turn it off, or start glasschat with "
        "--stage for it\n"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--stage", "eta_stage:Nothing"], "the module eta_stage has no Nothing"),
        (["--stage", "nothing:EtaCut"], "there is no module nothing in this folder"),
        (["--stage", "nothing"], "no installed package offers a stage 'nothing'"),
        (["--stage", "json:JSONDecoder"], "the stage json:JSONDecoder is no dataclass"),
        ([*ETA, *ETA], "two stages are named eta"),
        ([*ETA, "--stage-setting", "eta.epsilon=1"], "eta.epsilon must be a number between 0.0001"),
        ([*ETA, "--stage-setting", "eta.share=1"], "eta must be set by epsilon, keep, and 'share'"),
        ([*ETA, "--stage-setting", "epsilon=1"], "stage_setting must be STAGE.FIELD=VALUE"),
        (["--stage-setting", "eta.keep=1"], "the stage eta is not here"),
        ([*ETA, "--stages", "eta,top_k"], "stages must be each of logit_bias"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    assert main(["ask", *given, "Hi"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("glasschat ask: error: ")
    assert said in told.err and told.err.count("\n") == 1


@pytest.mark.parametrize("command", ["web", "serve"])
def test_servers_refuse_at_the_start_what_is_no_stage(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "--port", str(free_port()), "--stage", "eta_stage:Nothing"]) == 2
    assert "the module eta_stage has no Nothing" in capsys.readouterr().err


def test_a_stage_that_fails_ends_the_reply_with_its_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (folder / "eta_stage.py").read_text("utf-8")
    broken = text.replace(
        "        shares /= ", "        assert context.history.output_length < 3\n        shares /= "
    )
    (folder / "broken_stage.py").write_text(broken, encoding="utf-8")
    given = ["--stage", "broken_stage:EtaCut", "--json", *SHORT]
    assert main(["ask", *given, "Name a colour."]) == 1
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert (said["finish_reason"], len(said["token_ids"])) == ("error", 3) and said["text"]
    assert "glasschat: the stage eta failed: AssertionError (broken_stage.py, line " in told.err
