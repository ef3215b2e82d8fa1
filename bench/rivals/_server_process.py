"""Starts llama.cpp's server in a process of its own, and ends it.

xllamacpp brings the server as a library. It runs in a child process, so that neither side
shares the other's interpreter lock, and ends when its standard input closes, which happens
however this process ends.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.rivals._libraries import RivalFailed, import_library
from bench.rivals.llama_server import LlamaServer

_HOST = Path(__file__).with_name("_llama_server_main.py")
START_SECONDS = 120.0
STOP_SECONDS = 10.0


@contextmanager
def llama_server(
    model_path: Path,
    *,
    context: int,
    slots: int,
    threads: int,
    batch_threads: int,
    unified: bool = True,
    gpu_layers: int = 0,
    spin_count: int | None = None,
) -> Iterator[LlamaServer]:
    """Run a server of `slots` parallel replies of `context` positions each while the block runs.

    `unified` is llama.cpp's kv_unified, on as in glasschat's runner. `spin_count` is how long
    its threads spin for each other before they sleep; None leaves it to the library, which is
    quickest on a quiet machine.
    Raises MissingExtra or RivalFailed.
    """
    import_library("xllamacpp")
    asked = {
        "model": str(model_path),
        "context": context,
        "slots": slots,
        "threads": threads,
        "batch_threads": batch_threads,
        "unified": unified,
        "gpu_layers": gpu_layers,
    }
    process = subprocess.Popen(
        [sys.executable, "-P", str(_HOST), json.dumps(asked)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(spin_count),
    )
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b"listening "):
                break
        else:
            raise RivalFailed(f"llama-server did not start (exit code {process.wait()})")
        watchdog.cancel()
        said = json.loads(line.split(b" ", 1)[1])
        yield LlamaServer(int(said["url"].rsplit(":", 1)[1]), said["system_info"])
    finally:
        watchdog.cancel()
        _stop(process)


def _environment(spin_count: int | None) -> dict[str, str]:
    """Return this process's environment with GOMP_SPINCOUNT set to `spin_count`, or unset."""
    environment = dict(os.environ)
    environment.pop("GOMP_SPINCOUNT", None)
    if spin_count is not None:
        environment["GOMP_SPINCOUNT"] = str(spin_count)
    return environment


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Close its input, and end it if that is not enough."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
