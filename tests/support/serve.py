"""`glasschat serve` on a port of its own, as a program of its own."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.browser import START_SECONDS, ServerDidNotStart, free_port, stop


@contextmanager
def serve(*arguments: str, log_path: Path) -> Iterator[str]:
    """The address of `glasschat serve ARGUMENTS`, whose model is loaded, until the block ends.

    It prints to `log_path`. Raises ServerDidNotStart.
    """
    port = free_port()
    program = Path(sys.executable).with_name("glasschat")
    command = [str(program), "serve", *arguments, "--port", str(port)]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + START_SECONDS
            while not _ready(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServerDidNotStart(log_path.read_text(errors="replace"))
                time.sleep(0.05)
            yield url
        finally:
            stop(process)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
