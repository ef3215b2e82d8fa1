"""What a run of a reply read, and how each of its tokens was chosen."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables of prompts and traces."""
    op.create_table(
        "prompts",
        _run(),
        sa.Column("ids", sa.LargeBinary, nullable=False),
        sa.Column("layout", sa.Text, nullable=False),
    )
    op.create_table(
        "traces",
        _run(),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("steps", sa.LargeBinary, nullable=False),
    )


def _run() -> sa.Column[int]:
    return sa.Column(
        "run", NUMBER, sa.ForeignKey("runs.number", ondelete="CASCADE"), primary_key=True
    )
