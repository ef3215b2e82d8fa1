"""The `llm` command, told of this server as its documentation says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.serving import Served
from tests.clients.conftest import KEY, SAYING

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path, locked: Served) -> Path:
    models = [
        {
            "model_id": "glass",
            "model_name": "scripted",
            "api_base": f"{locked.url}/v1",
            "api_key_name": "glass",
            "can_stream": True,
        },
        {
            "model_id": "glass-text",
            "model_name": "scripted",
            "api_base": f"{locked.url}/v1",
            "api_key_name": "glass",
            "completion": True,
        },
    ]
    # What is JSON is YAML.
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(models))
    (tmp_path / "keys.json").write_text(json.dumps({"glass": KEY}))
    return tmp_path


def llm(home: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("llm")), *arguments]
    # Of its plugins, one that loads a model is of no use here.
    env = {**os.environ, "LLM_USER_PATH": str(home), "LLM_LOAD_PLUGINS": "", "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("more", [[], ["--no-stream"]], ids=str)
def test_a_prompt(home: Path, more: list[str]) -> None:
    asked = ["-m", "glass", "Hello", "-s", "Be kind", "-o", "temperature", "0.5", *more]
    assert llm(home, *asked, "-o", "seed", "1", "-o", "max_tokens", "200") == SAYING


def test_it_knows_what_was_used(home: Path) -> None:
    """It asks every stream for its usage, and keeps it."""
    llm(home, "-m", "glass", "Hello")
    (entry,) = json.loads(llm(home, "logs", "--json"))
    assert entry["output_tokens"] == len(SAYING.encode()) + 1


def test_a_text_that_goes_on(home: Path) -> None:
    assert llm(home, "-m", "glass-text", "<|/head|>", "-o", "max_tokens", "5") == "Hello"
