"""Who is writing a reply, and whether they are still there."""

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path
from secrets import token_hex

import psutil

LEASE_MS = 60_000
"""A reply without a sign of life for so long has been given up, wherever its writer ran."""

SIGN_OF_LIFE_MS = 5_000
"""How often a writer gives one when there is nothing to write."""


def writer_name() -> str:
    """A name for a writer in this process, by which others can tell whether it lives."""
    return f"{_machine()}|{os.getpid()}|{_begun(os.getpid())}|{token_hex(4)}"


def given_up(writer: str, heartbeat: int, now: int) -> bool:
    """Whether a reply that is not ended has nobody any more who would end it.

    A killed process of this machine is found out at once, one of another by its silence.
    """
    if now - heartbeat > LEASE_MS:
        return True
    machine, pid, begun, _ = writer.rsplit("|", 3)
    return machine == _machine() and _begun(int(pid)) != begun


@cache
def _machine() -> str:
    """This machine, or container: the same numbers mean other processes in another."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()}/{namespace}"


def _begun(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return "ended"
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return "ended"
