"""Where this platform keeps what a program has of its user."""

import os
import sys
from pathlib import Path

NAME = "glasschat"


def data_folder() -> Path:
    """For what must not be lost: `GLASSCHAT_DATA`, or the platform's place for a user's data."""
    if named := os.environ.get("GLASSCHAT_DATA"):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / NAME
    if sys.platform == "win32":
        return _local_on_windows()
    return _shared("XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path:
    """For what can be made again: `GLASSCHAT_CACHE`, or the platform's place for caches."""
    if named := os.environ.get("GLASSCHAT_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / NAME
    if sys.platform == "win32":
        return _local_on_windows() / "cache"
    return _shared("XDG_CACHE_HOME", ".cache")


def _local_on_windows() -> Path:
    local = os.environ.get("LOCALAPPDATA")
    return Path(local or Path.home() / "AppData" / "Local") / NAME


def _shared(variable: str, otherwise: str) -> Path:
    named = os.environ.get(variable, "")
    # A relative path is to be ignored, says the XDG specification.
    return (Path(named) if Path(named).is_absolute() else Path.home() / otherwise) / NAME
