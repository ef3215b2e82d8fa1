"""Files that hold what others must not know: keys, passwords, the login's secrets."""

import os
from pathlib import Path

from glasschat.cli.terminal import warn
from glasschat.errors import ServerError


def read_secret(file: Path, what: str) -> str:
    """The text of `file`; `what` names it in errors. Raises ServerError, UnicodeDecodeError."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ServerError(f"cannot read {what}: {reason}") from None


def warn_of_readers(file: Path) -> None:
    """Say it where other users of this machine can read `file`."""
    if os.name == "posix" and file.stat().st_mode & 0o077:
        warn(f"{file} can be read by others on this machine: chmod 600 keeps it to you")
