"""Files that hold secrets: keys, passwords and the settings of the login."""

import os
from pathlib import Path

from glasschat.cli.terminal import warn
from glasschat.errors import ServerError


def read_secret(file: Path, what: str) -> str:
    """Read a file as UTF-8. Raises ServerError, which calls it `what`, and UnicodeDecodeError."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ServerError("cannot read {what}: {reason}", what=what, reason=reason) from None


def warn_if_others_can_read(file: Path) -> None:
    """Warn on standard error if other users of this machine can read the file."""
    if os.name == "posix" and file.stat().st_mode & 0o077:
        warn(f"{file} can be read by others on this machine: chmod 600 keeps it to you")
