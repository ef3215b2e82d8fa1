"""llama.cpp's own log: silenced, with the last errors kept for our messages."""

import ctypes
from collections import deque
from typing import Any

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.llama_cpp.library import llama_cpp

_ERROR = 4
_errors: deque[str] = deque(maxlen=20)


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _keep(level: int, text: bytes, _user_data: Any) -> None:
    if level == _ERROR:
        _errors.append(text.decode("utf-8", "replace").strip())


def silence() -> None:
    """Send llama.cpp's log to this module instead of standard error."""
    llama_cpp.llama_log_set(_keep, ctypes.c_void_p(0))


def clear_errors() -> None:
    """Clear the kept errors before a call."""
    _errors.clear()


def load_error(what: Message) -> InvalidModel:
    """Return an error that llama.cpp cannot do `what`, with the reasons it has logged."""
    reason = " ".join("; ".join(_errors).split()) or Message("it gave no reason")
    return InvalidModel(
        "llama.cpp cannot {what} ({reason}): {advice}",
        what=what,
        reason=reason,
        advice=Message(
            "get another conversion, or a newer llama-cpp-python where the model is new"
        ),
    )
