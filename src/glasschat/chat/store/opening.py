"""Open the store that is asked for, with its schema brought up to date."""

from contextlib import suppress
from pathlib import Path

from glasschat.chat.store.database import BUSY_S, Database
from glasschat.chat.store.location import store_url
from glasschat.chat.store.migrating import migrate
from glasschat.chat.store.store import Store
from glasschat.errors import StoreReadOnly, StoreUnavailable


def open_store(store: str | Path | None = None, *, busy_s: float = BUSY_S) -> Store:
    """The store at a path or URL; in the user's data folder for None. Raises StoreError.

    `busy_s` is how long a change waits for another process's. Replies that a crash left unended
    are `interrupted` afterwards, unless the store may only be read.
    """
    database = Database(store_url(store), busy_s=busy_s)
    try:
        migrate(database)
        opened = Store(database)
        # Where it may only be read, or another is busy, a later `load` tries again.
        with suppress(StoreReadOnly, StoreUnavailable):
            opened.interrupt_given_up()
    except BaseException:
        database.close()
        raise
    return opened
