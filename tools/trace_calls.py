"""Count the files and functions of glasschat that one decode step and one chat reply pass.

    python tools/trace_calls.py ROOT

Prints one JSON object. The model is a scripted one that computes nothing; Streamlit's AppTest
stands for the browser. `sys.setprofile` sees every Python call, in all threads:

- `step_files`, `step_functions`, `step_calls`: of `Engine.step` while one reply at default settings
  is decoded: the distinct files under src/glasschat, the distinct named functions of engine/, and
  the calls of named functions (no comprehensions) under src/glasschat; the medians of the steps.
- `reply_files`: the distinct files under src/glasschat between the click that sends a message and
  the drawn reply, page, conversation, store and engine together.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

REPLY = "This reply is long enough for some steps in the middle of it."
# The first steps read the prompt, the last ones end the reply.
EDGE_STEPS = 4


Function = tuple[str, str]
"""File and qualified name."""


@dataclass(slots=True)
class Profile:
    """What `sys.setprofile` has seen of the files under `source`.

    `files` holds those of all threads while `active`. `steps` has the calls of each `Engine.step`
    that has returned, in their order.
    """

    source: str
    active: bool = False
    files: set[str] = field(default_factory=set)
    steps: list[list[Function]] = field(default_factory=list)
    _step: FrameType | None = None
    _thread: int = 0

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Take one event of the interpreter."""
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(self.source):
            return
        if event == "return":
            if frame is self._step:
                self._step = None
            return
        if self.active:
            self.files.add(code.co_filename)
        if code.co_name == "step" and code.co_filename.endswith("engine/engine.py"):
            self._step, self._thread = frame, threading.get_ident()
            self.steps.append([])
        if self._step is not None and threading.get_ident() == self._thread:
            self.steps[-1].append((code.co_filename, code.co_qualname))


def trace(root: Path) -> dict[str, float]:
    """Return the counts for the checkout at `root`, whose src/ must be first on the path."""
    logging.disable(logging.WARNING)
    source = root.resolve() / "src" / "glasschat"
    profile = Profile(f"{source}/")
    threading.setprofile(profile)
    from streamlit.testing.v1 import AppTest

    from glasschat.backends import LocalBackend
    from glasschat.chat import Library
    from glasschat.chat.store import open_store
    from glasschat.chat.user_presets import UserPresets
    from glasschat.models.scripted import scripted_model
    from glasschat.web.site import Site, set_site

    backend = LocalBackend(lambda _: scripted_model(REPLY), name="scripted")
    with tempfile.TemporaryDirectory() as folder, backend:
        backend.load()
        library = Library(open_store(Path(folder) / "conversations.db"))
        set_site(Site(backend, library, UserPresets(library.store)))
        page = AppTest.from_file(str(source / "web" / "page.py"), default_timeout=60).run()
        profile.steps.clear()
        profile.active = True
        page.chat_input[0].set_value("Hello!").run()
        _wait(lambda: any(REPLY in text.value for text in page.markdown), page.run)
        profile.active = False
    steps = profile.steps[EDGE_STEPS:-EDGE_STEPS]
    named = [[call for call in step if not call[1].endswith(">")] for step in steps]
    engine = f"{source / 'engine'}/"
    return {
        "step_files": median(len({file for file, _ in step}) for step in steps),
        "step_functions": median(
            len({call for call in step if call[0].startswith(engine)}) for step in named
        ),
        "step_calls": median(map(len, named)),
        "reply_files": len(profile.files),
    }


def _wait(done: Callable[[], bool], again: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the page did not show the reply")
        again()


if __name__ == "__main__":
    print(json.dumps(trace(Path(sys.argv[1]))))
