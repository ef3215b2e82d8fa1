"""Errors of databases and drivers as StoreError, each in one line that says what to do."""

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from glasschat.errors import (
    StoreConflict,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

# PostgreSQL's SQLSTATE, or its class of two characters.
_READ_ONLY = ("25006", "42501")
_FULL = ("53100",)
_BUSY = ("40001", "40P01", "55P03", "57014", "53300")
_DAMAGED = ("XX001", "XX002")


def to_store_error(error: Exception, place: str) -> StoreError:
    """Return the error to show for one of a driver or the file system; `place` is the store."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause, place)
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(
            "{place}: all connections are in use: try again in a moment", place=place
        )
    if isinstance(error, OSError):
        return StoreUnavailable(
            "{place} cannot be opened ({reason}): choose another place with --store, or mend "
            "the permissions",
            place=place,
            reason=error.strerror or error,
        )
    state = getattr(cause, "sqlstate", None)
    return _of_postgres(str(state or ""), cause, place)


def _of_sqlite(cause: sqlite3.Error, place: str) -> StoreError:
    # Extended codes, as SQLITE_IOERR_WRITE, begin with the plain one's name.
    name = getattr(cause, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return StoreFull(
            "{place}: the disk is full: free some space, and it goes on by itself", place=place
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreUnavailable(
            "{place} is locked by another program: close what is working on it, then try again",
            place=place,
        )
    if name.startswith("SQLITE_READONLY"):
        return StoreReadOnly("{place} may not be written: mend the file's permissions", place=place)
    if name.startswith("SQLITE_NOTADB"):
        return StoreDamaged(
            "{place} is no database: move it away, or name another file with --store", place=place
        )
    if name.startswith("SQLITE_CORRUPT"):
        return StoreDamaged(
            "{place} is damaged ({cause}): copy it, then save what can be read with `sqlite3 "
            "{name} .recover`, or put a backup in its place",
            place=place,
            cause=_line(cause),
            name=Path(place).name,
        )
    if name.startswith("SQLITE_CANTOPEN"):
        return StoreUnavailable(
            "{place} cannot be opened: choose another place with --store, or mend the permissions",
            place=place,
        )
    if name.startswith("SQLITE_IOERR"):
        return StoreFull(
            "{place} cannot be written ({cause}): see whether the disk is full, over a quota, or "
            "failing",
            place=place,
            cause=_line(cause),
        )
    if name.startswith("SQLITE_CONSTRAINT"):
        return StoreConflict(
            "{place}: somebody else has changed this chat: load it again", place=place
        )
    return StoreError("{place}: {cause}", place=place, cause=_line(cause))


def _of_postgres(state: str, cause: BaseException | None, place: str) -> StoreError:
    said = _line(cause)
    if state in _FULL:
        return StoreFull(
            "{place}: the database's disk is full: free some space on its machine", place=place
        )
    if state in _READ_ONLY:
        return StoreReadOnly(
            "{place} may not be written ({said}): give the user the right to",
            place=place,
            said=said,
        )
    if state in _BUSY:
        return StoreUnavailable(
            "{place} is busy ({said}): try again in a moment", place=place, said=said
        )
    if state in _DAMAGED:
        return StoreDamaged(
            "{place} is damaged ({said}): put a backup in its place", place=place, said=said
        )
    if state.startswith("23"):
        return StoreConflict(
            "{place}: somebody else has changed this chat: load it again", place=place
        )
    if not state or state[:2] in ("08", "28", "3D", "57"):
        return StoreUnavailable(
            "{place} cannot be reached ({said}): see whether PostgreSQL runs there, and whether "
            "user, password and database are right",
            place=place,
            said=said,
        )
    return StoreError("{place}: {said}", place=place, said=said)


def _line(error: BaseException | None) -> str:
    """Return the first line of an error's text, at most 200 characters."""
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
