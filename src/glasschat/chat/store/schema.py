"""The tables, as the newest migration leaves them. SQLAlchemy Core: rows, not objects.

Numbers are the database's own and never leave it; ids are what pages and files know. Times are
milliseconds since 1970, UTC.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

HEAD = "0003"
"""The newest migration: a store at this schema needs none."""

VERSION_TABLE = "glasschat_schema"

NUMBER = BigInteger().with_variant(Integer, "sqlite")

_ESCAPE, _NUL = "\uf8f0", "\x00"


class AnyText(TypeDecorator[str]):
    """Text that may hold U+0000, which PostgreSQL's may not: there it is written as two others."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape U+0000 in a text on its way to the database."""
        if value is None or dialect.name == "sqlite" or not (_NUL in value or _ESCAPE in value):
            return value
        return value.replace(_ESCAPE, _ESCAPE + "1").replace(_NUL, _ESCAPE + "0")

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Restore U+0000 in a text that comes from the database."""
        if value is None or dialect.name == "sqlite" or _ESCAPE not in value:
            return value  # type: ignore[no-any-return]
        return str(value).replace(_ESCAPE + "0", _NUL).replace(_ESCAPE + "1", _ESCAPE)


metadata = MetaData()

conversations = Table(
    "conversations",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("title", AnyText, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("deleted", BigInteger),
    Column("system", AnyText, nullable=False),
    Column("params", Text),
    Column("chosen", Text),
    Column("revision", BigInteger, nullable=False),
    Index("conversations_listed", "owner", "pinned", "updated", "number"),
    sqlite_autoincrement=True,
)

turns = Table(
    "turns",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column(
        "conversation",
        NUMBER,
        ForeignKey("conversations.number", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("id", Text, nullable=False),
    Column("parent", NUMBER, ForeignKey("turns.number", ondelete="CASCADE"), index=True),
    Column("role", Text, nullable=False),
    Column("text", AnyText, nullable=False),
    Column("ids", LargeBinary),
    Column("chosen", Text),
    Column("created", BigInteger, nullable=False),
    Column("deleted", BigInteger),
    UniqueConstraint("conversation", "id"),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("turn", NUMBER, ForeignKey("turns.number", ondelete="CASCADE"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("first_token", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("params", Text, nullable=False),
    Column("origin", AnyText, nullable=False),
    Column("ending", Text, index=True),
    Column("error", AnyText),
    Column("figures", Text, nullable=False),
    Column("writer", Text, nullable=False),
    Column("heartbeat", BigInteger, nullable=False),
    UniqueConstraint("turn", "place"),
    sqlite_autoincrement=True,
)

# A growing reply is appended here, so that each write costs what is new; its end moves it into
# the turn. What is read is always the turn's text and then its chunks.
chunks = Table(
    "chunks",
    metadata,
    Column("run", NUMBER, ForeignKey("runs.number", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("text", AnyText, nullable=False),
    Column("ids", LargeBinary, nullable=False),
)

# What a run read, once it has a token whose choice was recorded; and those records, which stay
# as they were appended.
prompts = Table(
    "prompts",
    metadata,
    Column("run", NUMBER, ForeignKey("runs.number", ondelete="CASCADE"), primary_key=True),
    Column("ids", LargeBinary, nullable=False),
    Column("layout", Text, nullable=False),
)

traces = Table(
    "traces",
    metadata,
    Column("run", NUMBER, ForeignKey("runs.number", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("steps", LargeBinary, nullable=False),
)

presets = Table(
    "presets",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("params", Text, nullable=False),
    UniqueConstraint("owner", "name"),
    sqlite_autoincrement=True,
)
