"""Conversations, turns, runs, chunks of growing replies, and the words that a search finds."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables of conversations, turns, runs, chunks and search words."""
    op.create_table(
        "conversations",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.BigInteger),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("params", sa.Text),
        sa.Column("chosen", sa.Text),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "conversations_listed", "conversations", ["owner", "pinned", "updated", "number"]
    )
    op.create_table(
        "turns",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column(
            "conversation",
            NUMBER,
            sa.ForeignKey("conversations.number", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("parent", NUMBER, sa.ForeignKey("turns.number", ondelete="CASCADE")),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("ids", sa.LargeBinary),
        sa.Column("chosen", sa.Text),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.BigInteger),
        sa.UniqueConstraint("conversation", "id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_turns_parent", "turns", ["parent"])
    op.create_table(
        "runs",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column(
            "turn", NUMBER, sa.ForeignKey("turns.number", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("first_token", sa.Integer, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("ending", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("figures", sa.Text, nullable=False),
        sa.Column("writer", sa.Text, nullable=False),
        sa.Column("heartbeat", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("turn", "place"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_ending", "runs", ["ending"])
    op.create_table(
        "chunks",
        sa.Column(
            "run", NUMBER, sa.ForeignKey("runs.number", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("ids", sa.LargeBinary, nullable=False),
    )
    for kind in ("turn", "title"):
        _words(f"{kind}_words")


def _words(table: str) -> None:
    """An index of words; its rows have the numbers of the turns, or of the conversations."""
    if op.get_bind().dialect.name == "sqlite":
        # Words are made by us: this tokenizer only parts them at the blanks.
        op.execute(
            f"CREATE VIRTUAL TABLE {table} USING fts5("
            "owner, words, tokenize = 'ascii', prefix = '2 3')"
        )
    else:
        op.execute(
            f"CREATE TABLE {table} (number BIGINT PRIMARY KEY, owner TEXT NOT NULL, "
            "words TEXT NOT NULL, vector TSVECTOR NOT NULL)"
        )
        op.execute(f"CREATE INDEX {table}_found ON {table} USING gin (vector)")
        op.execute(f"CREATE INDEX {table}_owned ON {table} (owner, number)")
