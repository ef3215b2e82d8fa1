"""@ai-sdk/openai-compatible: what a web application in JavaScript asks and reads."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.api.serving import wait_until
from tests.clients.conftest import metric, skip_without
from tools.clients import ClientMissing, ai_sdk, node

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("ai_sdk") / "talk.mjs"


def test_whole_streamed_structured_and_left(real: str, tmp_path: Path) -> None:
    try:
        program, installed = node(), ai_sdk()
    except ClientMissing as missing:
        skip_without(missing)
    # Node looks for packages from where the script lies.
    shutil.copy(SCRIPT, tmp_path)
    (tmp_path / "node_modules").symlink_to(installed / "node_modules", target_is_directory=True)
    before = metric(real, "vllm:generation_tokens_total")
    command = [program, SCRIPT.name, f"{real}/v1", "SmolLM2-135M-Instruct"]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    whole, streamed = told["whole"], told["streamed"]
    assert whole["text"] == streamed["text"] and whole["text"]
    assert (whole["finish"], streamed["finish"]) == ("length", "length")
    for usage in (whole["usage"], streamed["usage"]):
        assert usage["completion_tokens"] == 12
        assert usage["total_tokens"] == usage["prompt_tokens"] + 12
    assert told["warnings"] == []
    for pet in (told["pet"], told["grown"]):
        assert pet["name"] in ("Rex", "Tom") and 0 <= pet["legs"] <= 8
    assert told["parts"] >= 1
    assert told["aborted"]
    assert told["refused"]["status"] == 404 and "no-such-model" in told["refused"]["message"]
    # The one that left has given its slot back, long before its 400 tokens.
    wait_until(lambda: metric(real, "vllm:num_requests_running") == 0)
    assert metric(real, "vllm:generation_tokens_total") - before < 400
