"""A scripted model that echoes what it is asked, in the manner that the message names.

    slowly: some text      a character every 50 ms
    lingering: some text   the whole text, then two seconds until the end
    failing: some text     breaks after the text
    dying: some text       half of it, and the model is of no use until it is loaded again; once
    some text              the text, as fast as it goes

Its tokens are bytes, and reading a prompt takes 1 ms a byte.
"""

import time
from collections.abc import Sequence

from glasschat.errors import ReplyFailed
from glasschat.models.base import ForwardRow, Logits, Model
from glasschat.models.scripted import (
    END,
    HEADER_END,
    ScriptedRunner,
    ScriptedTokenizer,
    scripted_model,
)

LINGER_S = 2.0
DIED_OF: set[bytes] = set()


class DeviceLost(Exception):
    """Nothing more can be computed on it."""


def echo(ids: Sequence[int]) -> int:
    """Return the next byte of what the last message asks for, or the end."""
    ids = list(ids)
    start = len(ids) - ids[::-1].index(HEADER_END)
    opened = start - 1 - ids[: start - 1][::-1].index(HEADER_END)
    asked = bytes(i for i in ids[opened : ids.index(END, opened)] if i < 256)
    manner, separator, rest = asked.partition(b": ")
    if not separator or manner not in (b"slowly", b"lingering", b"failing", b"dying"):
        manner, rest = b"", asked
    written = len(ids) - start
    if manner == b"slowly":
        time.sleep(0.05)
    if manner == b"dying" and written == len(rest) // 2 and rest not in DIED_OF:
        DIED_OF.add(rest)
        raise DeviceLost
    if written < len(rest):
        return rest[written]
    if manner == b"lingering":
        time.sleep(LINGER_S)
    if manner == b"failing":
        raise RuntimeError("the script says so")
    return END


class SlowReader(ScriptedRunner):
    """Runner that takes its time over prompts, as a large model does, and may lose its device."""

    lost = False

    def forward(self, rows: Sequence[ForwardRow]) -> Logits:
        """Read for 1 ms a byte."""
        time.sleep(0.001 * sum(len(row.ids) for row in rows if len(row.ids) > 1))
        if self.lost:
            raise ReplyFailed("the device is lost")
        try:
            return super().forward(rows)
        except DeviceLost:
            self.lost = True
            raise


def echo_model(*, slots: int = 1, context: int = 4096) -> Model:
    """Return a new model with so many slots of `context` tokens each."""
    runner = SlowReader(echo, slots=slots, context=context)
    return Model(scripted_model("").info, ScriptedTokenizer(), runner)
