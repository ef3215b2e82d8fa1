"""Where conversations are kept: a file in the user's data folder, unless told otherwise."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from glasschat.errors import StoreUnavailable
from glasschat.folders import data_folder

FILE_NAME = "conversations.db"


def store_url(store: str | Path | None) -> URL:
    """What `--store` names: nothing, a path, or a URL. Raises StoreUnavailable."""
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
        f"conversations cannot be kept in {kind}: give a file, or postgresql://user@host/database"
    )


def sqlite_url(path: Path) -> URL:
    """The URL of a file."""
    return URL.create("sqlite", database=str(path.absolute()))


def shown(url: URL) -> str:
    """How messages call the store: the file's path, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    bare = url.set(drivername="postgresql", query={})
    return bare.render_as_string(hide_password=True)
