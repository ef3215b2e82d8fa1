"""Opens a store and brings its schema up to date."""

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from glasschat.chat.store.database import BUSY_S, Database, store_url
from glasschat.chat.store.schema import HEAD, VERSION_TABLE, metadata
from glasschat.chat.store.store import Store
from glasschat.errors import StoreDamaged, StoreReadOnly, StoreTooNew, StoreUnavailable

MIGRATIONS = Path(__file__).with_name("migrations")

# Any number will do, as long as all who open a store take the same.
_LOCK = 0x676C617373


def migrate(database: Database) -> None:
    """Bring the schema up to date. Raises StoreError.

    A store that is there already is only looked at, so that one that may only be read opens.
    """
    with database.read() as connection:
        if _schema(connection, database.place) == HEAD:
            return
    with database.write() as connection:
        if not database.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        # Another may have been quicker.
        if _schema(connection, database.place) != HEAD:
            _upgrade(connection)


def _schema(connection: Connection, place: str) -> str | None:
    """Return the name of the schema, None for an empty database."""
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        if tables & set(metadata.tables) or (tables and connection.dialect.name == "sqlite"):
            raise StoreDamaged(
                "{place} is another program's database: name another with --store", place=place
            )
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if found is not None and str(found) > HEAD:
        raise StoreTooNew(
            "{place} was written by a newer glasschat (its schema is {found}, this one knows up "
            "to {head}): update glasschat, or name another file with --store",
            place=place,
            found=found,
            head=HEAD,
        )
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    # Imported here: a store that is up to date does without.
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Config reads % as the beginning of a name.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def open_store(store: str | Path | None = None, *, busy_s: float = BUSY_S) -> Store:
    """Open the store at a path or URL; in the user's data folder for None. Raises StoreError.

    `busy_s` is how long a change waits for another process's. Replies that a crash left unended
    are `interrupted` afterwards, unless the store may only be read.
    """
    database = Database(store_url(store), busy_s=busy_s)
    try:
        migrate(database)
        opened = Store(database)
        # Where it may only be read, or another is busy, a later `load` tries again.
        with suppress(StoreReadOnly, StoreUnavailable):
            opened.interrupt_abandoned()
    except BaseException:
        database.close()
        raise
    return opened
