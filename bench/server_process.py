"""Child process with one of our servers, controlled by lines on its standard input."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from bench import child_environment
from bench.config import BenchConfig
from bench.rivals import RivalFailed

START_S = 60.0


class ServerProcess:
    """Running server with its port and URL."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, line: str) -> Any:
        """Send one line and wait for its answer."""
        printed: IO[str] | None = self._process.stdout
        assert self._process.stdin is not None
        assert printed is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = printed.readline()
        if not answer:
            raise RivalFailed("the server of the bench ended early")
        return json.loads(answer)


@contextmanager
def run_server(setting: BenchConfig, module: str, *more: int) -> Iterator[ServerProcess]:
    """Run `module` with the model's path, a free port, the threads and `more`, until it is ready.

    The process ends with the block. Raises RivalFailed when the model does not load in time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    plan = setting.plan
    threads = 0 if plan.adaptive else plan.threads
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(plan.path), *map(str, (port, threads, *more))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=child_environment(),
    )
    try:
        host = ServerProcess(process, port)
        deadline = time.monotonic() + START_S
        while not host.ask("ready"):
            if time.monotonic() > deadline:
                raise RivalFailed("the model did not load in time")
            time.sleep(0.1)
        yield host
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
