"""1 is what failed on the way, 2 what has to be given or set up otherwise."""

from typing import Any

import pytest

from glasschat.cli import main
from glasschat.errors import (
    EngineStopped,
    GlasschatError,
    InvalidMessage,
    QueueFull,
    ReplyFailed,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ReplyFailed("broken"), 1),
        (EngineStopped("broken"), 1),
        (QueueFull("broken"), 1),
        (InvalidMessage("broken"), 2),
    ],
)
def test_ask(
    error: GlasschatError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def start(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("glasschat.cli.ask.LocalBackend.start", start)
    assert main(["ask", "Hi"]) == code
    assert_one_line(capsys)


def assert_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("glasschat")
    assert said.err.count("\n") == 1
    assert "broken" in said.err
