"""The words of turns and titles, kept for the search beside their texts.

Rows are found by number: a turn's, or for titles a conversation's. Deleted branches have none.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection, text

from glasschat.chat.store.words import join_words

Words = Literal["turn_words", "title_words"]

# PostgreSQL's vectors hold a megabyte; a word is a few bytes more than its letters.
_MOST_BYTES = 500_000


def owner_word(owner: str) -> str:
    """Return the owner as one word, whatever the name holds."""
    return "o" + sha256(owner.encode()).hexdigest()[:24]


def index_turn(connection: Connection, number: int, owner: str, turn_text: str) -> None:
    """Index the text of a turn, in place of its earlier text."""
    _delete(connection, "turn_words", [number])
    _insert(connection, "turn_words", owner, [(number, turn_text)])


def index_turns(connection: Connection, owner: str, texts: Iterable[tuple[int, str]]) -> None:
    """Index turns that were not indexed, each by its number."""
    _insert(connection, "turn_words", owner, texts)


def index_title(connection: Connection, number: int, owner: str, title: str) -> None:
    """Index the title of a conversation, in place of its earlier title."""
    _delete(connection, "title_words", [number])
    _insert(connection, "title_words", owner, [(number, title)])


def unindex_turns(connection: Connection, numbers: Sequence[int]) -> None:
    """Remove these turns from the index."""
    _delete(connection, "turn_words", numbers)


def unindex_titles(connection: Connection, numbers: Sequence[int]) -> None:
    """Remove the titles of these conversations from the index."""
    _delete(connection, "title_words", numbers)


def _key(connection: Connection) -> str:
    return "rowid" if connection.dialect.name == "sqlite" else "number"


def _delete(connection: Connection, table: Words, numbers: Sequence[int]) -> None:
    if numbers:
        connection.execute(
            text(f"DELETE FROM {table} WHERE {_key(connection)} = :number"),
            [{"number": number} for number in numbers],
        )


def _insert(
    connection: Connection, table: Words, owner: str, texts: Iterable[tuple[int, str]]
) -> None:
    sqlite = connection.dialect.name == "sqlite"
    word = owner_word(owner)
    rows: list[dict[str, Any]] = []
    for number, full_text in texts:
        if words := join_words(full_text):
            rows.append({"number": number, "owner": word, "words": words})
            if not sqlite:
                rows[-1]["distinct"] = _distinct(words)
    if not rows:
        return
    if sqlite:
        insert = f"INSERT INTO {table} (rowid, owner, words) VALUES (:number, :owner, :words)"
    else:
        insert = (
            f"INSERT INTO {table} (number, owner, words, vector) "
            "VALUES (:number, :owner, :words, array_to_tsvector(CAST(:distinct AS text[])))"
        )
    connection.execute(text(insert), rows)


def _distinct(words: str) -> list[str]:
    distinct, room = list(dict.fromkeys(words.split(" "))), _MOST_BYTES
    for count, word in enumerate(distinct):
        room -= len(word.encode()) + 8
        if room < 0:
            return distinct[:count]
    return distinct
