"""Names for the writers of replies, and whether a writer is still alive."""

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path
from secrets import token_hex

import psutil

LEASE_MS = 60_000
"""Milliseconds without a heartbeat after which a writer is gone, wherever it ran."""

SIGN_OF_LIFE_MS = 5_000
"""Milliseconds between heartbeats when there is nothing to write."""


def writer_name() -> str:
    """Return a name for a writer in this process, by which others can tell whether it lives."""
    return f"{_machine()}|{os.getpid()}|{_started_at(os.getpid())}|{token_hex(4)}"


def is_abandoned(writer: str, heartbeat: int, now: int) -> bool:
    """Return whether the writer of an unfinished reply is gone.

    A killed process of this machine is noticed at once, one of another machine when its lease
    is over. Times are in milliseconds since 1970.
    """
    if now - heartbeat > LEASE_MS:
        return True
    machine, pid, begun, _ = writer.rsplit("|", 3)
    return machine == _machine() and _started_at(int(pid)) != begun


@cache
def _machine() -> str:
    """Return a name for this machine or container, within which process ids are unique."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()}/{namespace}"


def _started_at(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return "ended"
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return "ended"
