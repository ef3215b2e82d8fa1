"""guidellm: a short run, no errors in its report, and its count of tokens is ours."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import metric, skip_without
from tools.clients import ClientMissing, guidellm

pytestmark = pytest.mark.slow

REQUESTS, TOKENS = 6, 16
COUNTED = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total")


def test_a_short_benchmark(real: str, tmp_path: Path) -> None:
    try:
        program = guidellm()
    except ClientMissing as missing:
        skip_without(missing)
    prompts = tmp_path / "prompts.jsonl"
    asked = [{"prompt": f"Tell me story number {n} about a fox."} for n in range(REQUESTS)]
    prompts.write_text("\n".join(map(json.dumps, asked)))
    report = tmp_path / "report.json"
    command = [str(program), "run", "--disable-console"]
    command += ["--backend", f"kind=openai_http,target={real},max_tokens={TOKENS}"]
    command += ["--profile", "kind=concurrent,streams=2"]
    command += ["--constraint", f"kind=max_requests,count={REQUESTS}"]
    command += ["--data", f"kind=json_file,path={prompts}"]
    command += ["--output", f"kind=json,path={report}"]
    before = [metric(real, name) for name in COUNTED]
    # Its tokens come of our usage: it needs no tokenizer, and asks no hub for one.
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    (run,) = json.loads(report.read_text())["benchmarks"]
    told = run["metrics"]
    assert told["request_totals"] == {
        "successful": REQUESTS,
        "errored": 0,
        "incomplete": 0,
        "total": REQUESTS,
    }
    tokens = [told[f"{side}_token_count"]["successful"] for side in ("prompt", "output")]
    assert (tokens[1]["min"], tokens[1]["max"]) == (TOKENS, TOKENS)
    counted = [metric(real, name) for name in COUNTED]
    assert [side["total_sum"] for side in tokens] == [
        after - earlier for after, earlier in zip(counted, before, strict=True)
    ]
    assert told["time_to_first_token_ms"]["successful"]["min"] > 0
