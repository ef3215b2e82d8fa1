"""A real server in front of a scripted model: it echoes what it is asked, in the way it is asked.

    slowly: some text      a character every 50 ms
    lingering: some text   everything shown, then two seconds until the end
    failing: some text     breaks after the text
    dying: some text       half of it, and the model is of no use until it is loaded again; once
    some text              the text, as fast as it goes

Its tokens are bytes, and reading a prompt takes 1 ms a byte.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from glasschat.backends import Description, LocalBackend, Readiness
from glasschat.chat import Library
from glasschat.chat.store import open_store
from glasschat.cli.own_stages import stage_classes
from glasschat.config import WebOptions
from glasschat.errors import InvalidModel, ReplyFailed
from glasschat.models.base import ForwardRow, Logits, Model, ModelInfo
from glasschat.models.scripted import (
    END,
    HEADER_END,
    ScriptedRunner,
    ScriptedTokenizer,
    scripted_model,
)
from glasschat.web.server import serve

LINGER_S = 2.0
DIED_OF: set[bytes] = set()


class DeviceLost(Exception):
    """Nothing more can be computed on it."""


def echo(ids: Sequence[int]) -> int:
    """The next byte of what the last message asks for, or the end."""
    ids = list(ids)
    start = len(ids) - ids[::-1].index(HEADER_END)
    opened = start - 1 - ids[: start - 1][::-1].index(HEADER_END)
    asked = bytes(i for i in ids[opened : ids.index(END, opened)] if i < 256)
    manner, separator, rest = asked.partition(b": ")
    if not separator or manner not in (b"slowly", b"lingering", b"failing", b"dying"):
        manner, rest = b"", asked
    said = len(ids) - start
    if manner == b"slowly":
        time.sleep(0.05)
    if manner == b"dying" and said == len(rest) // 2 and rest not in DIED_OF:
        DIED_OF.add(rest)
        raise DeviceLost
    if said < len(rest):
        return rest[said]
    if manner == b"lingering":
        time.sleep(LINGER_S)
    if manner == b"failing":
        raise RuntimeError("the script says so")
    return END


class SlowReader(ScriptedRunner):
    """Takes its time over prompts, as a large model does, and may lose its device."""

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


class BrokenBackend(LocalBackend):
    """Cannot even say what it is, once it is ready."""

    def describe(self) -> Description:
        """Raise, with a word that no visitor should read."""
        description = super().describe()
        if description.readiness is Readiness.READY:
            raise RuntimeError("secret-detail")
        return description


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--max-waiting", type=int, default=2)
    parser.add_argument("--loading-s", type=float, default=0.0)
    parser.add_argument("--held-by", type=Path, metavar="FILE", help="loads while it is not there")
    parser.add_argument("--damaged", action="store_true")
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--store", metavar="FILE")
    parser.add_argument("--stage", metavar="NAME", action="append", default=[])
    options = parser.parse_args()

    def load(progress: Callable[[float], None]) -> Model:
        for step in range(20):
            progress(step / 20)
            time.sleep(options.loading_s / 20)
        while options.held_by is not None and options.held_by.exists():
            time.sleep(0.05)
        if options.damaged:
            raise InvalidModel("model.gguf is cut off after 12 bytes: download it again")
        info: ModelInfo = scripted_model("").info
        runner = SlowReader(echo, slots=options.slots, context=options.context)
        return Model(info, ScriptedTokenizer(), runner)

    kind = BrokenBackend if options.broken else LocalBackend
    backend = kind(
        load,
        name="scripted",
        max_waiting=options.max_waiting,
        stage_classes=stage_classes(options),
    )
    library = Library(open_store(options.store) if options.store else None)
    serve(backend, library, WebOptions(port=options.port))


if __name__ == "__main__":
    main()
