"""What pages and the API talk to, whatever generates the tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from glasschat.engine import Generation
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams


class Readiness(StrEnum):
    """Whether replies can be asked for."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Description:
    """What a visitor should know of a backend.

    `progress` of the loading is between 0 and 1. `detail` is a short text such as the
    quantisation, `context` the tokens that prompt and reply may have together; both are empty
    until the model is known. `recommended` are its makers' sampling settings, by the names of
    SamplingParams.
    """

    readiness: Readiness
    name: str
    detail: str = ""
    context: int = 0
    slots: int = 0
    progress: float = 0.0
    recommended: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


class Backend(Protocol):
    """Generates replies to conversations."""

    def describe(self) -> Description:
        """What it is and whether it is ready; cheap, from any thread."""

    def start(self, messages: Sequence[ChatMessage], params: SamplingParams) -> Generation:
        """Begin a reply to `messages`, or go on with the reply that is the last of them.

        The Generation of a reply that goes on has the new tokens and their text only. Raises
        PromptError, ParameterError or EngineError.
        """

    def close(self) -> None:
        """End what is running and give back what is held."""
