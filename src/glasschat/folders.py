"""Folders of this platform for the program's data and caches."""

import os
import sys
from pathlib import Path

NAME = "glasschat"


def data_folder() -> Path:
    """Return the folder for what must not be lost: `GLASSCHAT_DATA`, or the platform's."""
    if named := os.environ.get("GLASSCHAT_DATA"):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / NAME
    if sys.platform == "win32":
        return _local_on_windows()
    return _shared("XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path:
    """Return the folder for what can be made again: `GLASSCHAT_CACHE`, or the platform's."""
    if named := os.environ.get("GLASSCHAT_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / NAME
    if sys.platform == "win32":
        return _local_on_windows() / "cache"
    return _shared("XDG_CACHE_HOME", ".cache")


def _local_on_windows() -> Path:
    """Return the folder for a user's local application data on Windows."""
    local = os.environ.get("LOCALAPPDATA")
    return Path(local or Path.home() / "AppData" / "Local") / NAME


def _shared(variable: str, otherwise: str) -> Path:
    """Return the folder that an XDG variable names, or its default below the home folder."""
    named = os.environ.get(variable, "")
    # A relative path is to be ignored, says the XDG specification.
    return (Path(named) if Path(named).is_absolute() else Path.home() / otherwise) / NAME
