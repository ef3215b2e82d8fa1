"""Flags for the store of conversations."""

import argparse
from typing import TYPE_CHECKING

from glasschat.cli.terminal import warn
from glasschat.errors import StoreError, StoreTooNew

if TYPE_CHECKING:
    from glasschat.chat import Library


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags `--store` and `--no-store`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--store",
        metavar="URL",
        help="keep conversations in this file or database, postgresql://user@host/name; "
        "a file in your data folder",
    )
    group.add_argument(
        "--no-store", action="store_true", help="keep conversations only while the server runs"
    )


def open_library(options: argparse.Namespace) -> "Library":
    """Open the library of conversations in the store that the options name.

    If the store cannot be opened, the chat works without saving, and warns here and on every page.
    Raises StoreError for a URL that is not valid, and StoreTooNew.
    """
    # Imported here: SQLAlchemy is slow to import, and other commands need no store.
    from glasschat.chat import Library
    from glasschat.chat.store import open_store, store_url

    if options.no_store:
        return Library()
    store_url(options.store)
    try:
        return Library(open_store(options.store))
    except StoreTooNew:
        raise
    except StoreError as error:
        warn(f"conversations are not being kept: {error}")
        return Library(trouble=error)
