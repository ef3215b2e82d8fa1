"""Where conversations are kept, as the command line names it."""

import argparse
from typing import TYPE_CHECKING

from glasschat.cli.terminal import warn
from glasschat.errors import StoreError, StoreTooNew

if TYPE_CHECKING:
    from glasschat.chat import Library


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """`--store` and `--no-store`."""
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


def opened_library(options: argparse.Namespace) -> "Library":
    """All conversations of the store that is named.

    Where it cannot be opened the chat goes on unsaved, and says so here and on every page. Raises
    StoreError for a store that cannot be meant, and StoreTooNew.
    """
    # Slow to import, and for one command only.
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
