"""Options of the program, frozen and resolved once; the settings of a reply are SamplingParams."""

import re
from dataclasses import dataclass
from pathlib import Path

from glasschat.errors import ParameterError
from glasschat.messages import Message

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8501
DEFAULT_SLOTS = 4
DEFAULT_CONTEXT = 8192
MOST_SLOTS = 64
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Which model, and how much of the machine it gets.

    Unset values are chosen when the model is known: the context is the model's own, at most
    8,192; slots are 4, fewer where memory is short; threads are the cores; layers go to a GPU
    when llama.cpp was built for one. `device` and `dtype` are for model folders: see
    `models.hf.device`. `reserved` bytes of the machine's memory are for other models.
    """

    path: Path | None = None
    context: int | None = None
    slots: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    exact: bool = False
    reserved: int = 0

    def __post_init__(self) -> None:
        _check("context", self.context, 64, 2**31 - 1)
        _check("slots", self.slots, 1, MOST_SLOTS)
        _check("threads", self.threads, 1, 1024)
        _check("gpu_layers", self.gpu_layers, 0, 10_000)
        if self.exact and self.slots not in (None, 1):
            raise ParameterError("slots", "1 in exact mode", self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """Where the chat is served, and how many may wait for it.

    `allowed_hosts` are names that visitors call the server by, besides its own.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    max_waiting: int = 64
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check("port", self.port, 1, 65535)
        _check("max_waiting", self.max_waiting, 1, 100_000)
        for name in self.allowed_hosts:
            if not _HOST_NAME.fullmatch(name):
                raise ParameterError("allowed_host", "a host name without scheme or port", name)

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine reaches the address."""
        return self.host in LOOPBACK_HOSTS


def _check(name: str, value: int | None, low: int, high: int) -> None:
    """Raise ParameterError for a value outside the range; None is unset."""
    if value is not None and not low <= value <= high:
        raise ParameterError(
            name, Message("a whole number from {low:,} to {high:,}", low=low, high=high), value
        )
