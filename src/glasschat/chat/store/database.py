"""One database, SQLite or PostgreSQL: connections, transactions, and errors that say what to do."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from glasschat.chat.store.failures import to_store_error
from glasschat.errors import MissingExtra, StoreUnavailable
from glasschat.folders import data_folder

FILE_NAME = "conversations.db"


def store_url(store: str | Path | None) -> URL:
    """Return the URL of what `--store` names: nothing, a path, or a URL.

    Raises StoreUnavailable.
    """
    if store is None:
        return sqlite_url(data_folder() / FILE_NAME)
    if isinstance(store, Path) or "://" not in store:
        return sqlite_url(Path(store).expanduser())
    try:
        url = make_url(store)
    except (ArgumentError, ValueError):
        # What was given may hold a password: it is not repeated.
        raise StoreUnavailable(
            "the store's URL cannot be read: write postgresql://user:password@host/database"
        ) from None
    kind = url.drivername.partition("+")[0]
    if kind == "sqlite" and url.database and url.database != ":memory:":
        return sqlite_url(Path(url.database))
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise StoreUnavailable(
        "conversations cannot be kept in {kind}: give a file, or postgresql://user@host/database",
        kind=kind,
    )


def sqlite_url(path: Path) -> URL:
    """Return the URL of a SQLite file."""
    return URL.create("sqlite", database=str(path.absolute()))


def display_name(url: URL) -> str:
    """Return how messages call the store: the file's path, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    bare = url.set(drivername="postgresql", query={})
    return bare.render_as_string(hide_password=True)


BUSY_S = 5.0
"""How long a transaction waits for another's lock."""


class Database:
    """Transactions on one database. Safe to use from any thread.

    All methods raise StoreError.
    """

    def __init__(self, url: URL | str, *, busy_s: float = BUSY_S) -> None:
        url = make_url(url)
        self.place = display_name(url)
        self.sqlite = url.get_backend_name() == "sqlite"
        if self.sqlite:
            with self._store_errors():
                _make_private(Path(url.database or ""))
            self._engine = create_engine(url, connect_args={"timeout": busy_s})
            event.listen(self._engine, "connect", _on_sqlite_connect)
            event.listen(self._engine, "begin", _on_sqlite_begin)
            with self._store_errors():
                self._to_wal(busy_s)
        else:
            milliseconds = round(busy_s * 1000)
            args: dict[str, Any] = {"connect_timeout": max(2, round(busy_s))}
            if "options" not in url.query:
                args["options"] = f"-c lock_timeout={milliseconds} -c client_encoding=UTF8"
            try:
                self._engine = create_engine(url, pool_pre_ping=True, connect_args=args)
            except ImportError:
                raise MissingExtra(
                    "PostgreSQL needs psycopg: install it with `pip install 'glasschat[postgres]'`"
                ) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database throughout."""
        level: dict[str, Any] = {} if self.sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._store_errors(), self._engine.connect().execution_options(**level) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that is committed at the end, or leaves nothing behind."""
        with (
            self._store_errors(),
            self._engine.connect().execution_options(glasschat_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Close all connections of the pool. Raises StoreError."""
        with self._store_errors():
            self._engine.dispose()

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout, sqlite3.Error, OSError) as error:
            raise to_store_error(error, self.place) from error

    def _to_wal(self, busy_s: float) -> None:
        # Kept in the file, so that this costs something only once.
        raw = self._engine.raw_connection()
        try:
            cursor = raw.cursor()
            (mode,) = cursor.execute("PRAGMA journal_mode").fetchone()
            if mode != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # A file that may only be read stays as it is, and two may open a new one at once: the
            # other is making it so.
            name = error.sqlite_errorname
            if not name.startswith(("SQLITE_READONLY", "SQLITE_BUSY", "SQLITE_LOCKED")):
                raise
        finally:
            raw.close()


def _make_private(path: Path) -> None:
    """Create the file, and its folder if there is none, readable by this user alone."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _on_sqlite_connect(connection: sqlite3.Connection, _record: object) -> None:
    # The driver begins no transactions: `_on_sqlite_begin` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # In WAL mode a killed process loses nothing that was committed; a power cut may lose the
    # newest commits, never more, and the disk is not made to wait twice a second.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _on_sqlite_begin(connection: Connection) -> None:
    # A reader that turns writer could not wait for its turn: writers say so beforehand.
    writes = connection.get_execution_options().get("glasschat_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
