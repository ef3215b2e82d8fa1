"""Search over titles and texts, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, text

from glasschat.chat.saved import ConversationInfo
from glasschat.chat.store.indexing import Words, owner_word
from glasschat.chat.store.reading import info_of
from glasschat.chat.store.schema import conversations, turns
from glasschat.chat.store.words import phrases

BATCH = 200
AROUND = 60

Phrases = list[tuple[list[str], bool]]


@dataclass(frozen=True, slots=True)
class Hit:
    """A conversation that was found, by its title or, with `turn_id`, by the newest turn that
    has all the words; `excerpt` is what stands around the first of them there.
    """

    conversation: ConversationInfo
    turn_id: str | None
    excerpt: str


def search_conversations(
    connection: Connection, owner: str, query: str, limit: int
) -> tuple[Hit, ...]:
    """Return the conversations that `query` finds, at most `limit`: by their titles first."""
    wanted = phrases(query)
    hits: dict[int, Hit] = {}
    if not wanted:
        return ()
    for numbers in _matching(connection, "title_words", owner, wanted):
        for row in _rows(connection, numbers, conversations.c.number):
            hits.setdefault(row.conversation, Hit(info_of(row), None, row.title))
            if len(hits) == limit:
                return tuple(hits.values())
    for numbers in _matching(connection, "turn_words", owner, wanted):
        for row in _rows(connection, numbers, turns.c.number):
            if row.conversation not in hits:
                excerpt = excerpt_of(row.text, query)
                hits[row.conversation] = Hit(info_of(row), row.turn_id, excerpt)
            if len(hits) == limit:
                return tuple(hits.values())
    return tuple(hits.values())


def excerpt_of(full_text: str, query: str) -> str:
    """Return the text around the first piece of the query, on one line."""
    low = full_text.casefold()
    places = [low.find(piece.casefold()) for piece in query.split()]
    at = min((place for place in places if place >= 0), default=0)
    begin, end = max(0, at - AROUND // 2), at + AROUND * 2
    line = " ".join(full_text[begin:end].split())
    return ("…" if begin else "") + line + ("…" if end < len(full_text) else "")


def _rows(connection: Connection, numbers: list[int], key: Any) -> list[Row[Any]]:
    """Return the rows of these numbers that are not deleted, highest number first."""
    columns = [conversations, conversations.c.number.label("conversation"), key.label("at")]
    if key is turns.c.number:
        query = (
            select(*columns, turns.c.id.label("turn_id"), turns.c.text)
            .join(turns, turns.c.conversation == conversations.c.number)
            .where(turns.c.deleted.is_(None))
        )
    else:
        query = select(*columns)
    query = query.where(key.in_(numbers), conversations.c.deleted.is_(None))
    return list(connection.execute(query.order_by(key.desc())))


def _matching(
    connection: Connection, table: Words, owner: str, wanted: Phrases
) -> Iterator[list[int]]:
    """Yield the numbers of what matches, newest first, in batches: a common word is everywhere."""
    sqlite = connection.dialect.name == "sqlite"
    query, values = (_fts5 if sqlite else _vector)(table, owner_word(owner), wanted)
    before = 2**62
    while True:
        parameters = {**values, "before": before, "batch": BATCH}
        numbers = [row[0] for row in connection.execute(text(query), parameters)]
        if numbers:
            yield numbers
        if len(numbers) < BATCH:
            return
        before = numbers[-1]


def _fts5(table: Words, owner: str, wanted: Phrases) -> tuple[str, dict[str, Any]]:
    """Return the query for SQLite's FTS5, and its parameters."""
    pieces = (f'"{" ".join(parts)}"{"*" if begun else ""}' for parts, begun in wanted)
    match = f"owner : {owner} AND words : ({' AND '.join(pieces)})"
    query = (
        f"SELECT rowid FROM {table} WHERE {table} MATCH :match AND rowid < :before "
        "ORDER BY rowid DESC LIMIT :batch"
    )
    return query, {"match": match}


def _vector(table: Words, owner: str, wanted: Phrases) -> tuple[str, dict[str, Any]]:
    """Return the query for PostgreSQL, and its parameters.

    The index of the vector finds the words; their order in a phrase is checked after that.
    """
    lexemes = []
    values: dict[str, Any] = {"owner": owner}
    where = ""
    for number, (parts, begun) in enumerate(wanted):
        last = len(parts) - 1
        lexemes += [f"'{p}'{':*' if begun and i == last else ''}" for i, p in enumerate(parts)]
        if last:
            where += f" AND ' ' || words || ' ' LIKE :phrase{number}"
            values[f"phrase{number}"] = f"% {' '.join(parts)}{'' if begun else ' '}%"
    values["lexemes"] = " & ".join(lexemes)
    query = (
        f"SELECT number FROM {table} WHERE owner = :owner AND number < :before "
        f"AND vector @@ CAST(:lexemes AS tsquery){where} ORDER BY number DESC LIMIT :batch"
    )
    return query, values
