"""The interface between pages or the API and what generates the tokens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from glasschat.backends.provenance import Provenance
from glasschat.engine import DEFAULT_START, Reply, ReplyPrompt, StartOptions
from glasschat.messages import Message
from glasschat.models.base import Model
from glasschat.prompt import ChatMessage, ContextPolicy
from glasschat.sampling import NO_STAGES, SamplingParams, StageClasses

Loader = Callable[[Callable[[float], None]], Model]
"""Loads a model; the argument is called with the progress, from 0 to 1."""


class Readiness(StrEnum):
    """Whether a backend accepts requests for replies."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Capability(StrEnum):
    """What can be done with the replies of a backend, beyond reading them."""

    GO_ON = "go_on"
    """Continue a reply that was cut, from where it was cut."""
    LOGPROBS = "logprobs"
    """Show the most likely tokens in each place."""
    STAGES = "stages"
    """Show what each stage did to the candidates."""
    DRAW = "draw"
    """Show the random number that decided."""
    WHAT_IF = "what_if"
    """Compute what other settings would have done."""
    BRANCHING = "branching"
    """Take another token in any place, and continue the reply exactly from there."""
    DEBUGGER = "debugger"
    """Pause replies, go step by step, and take a token that was chosen by hand."""
    PROMPT_TOKENS = "prompt_tokens"
    """Show every token of the prompt, and where it comes from."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a visitor should know of a backend.

    `progress` of the loading is between 0 and 1. `detail` is a short text such as the quantisation,
    `context` the tokens that prompt and reply may have together; both are empty until the model is
    known, and `context` is 0 where it never is. `recommended` are its makers' sampling settings, by
    the names of SamplingParams. `provenance` is what a record of a reply should say besides the
    name. `missing` is what cannot be done with its replies, `not_taken` are the settings, by the
    names of SamplingParams, that have no effect there. `error` is why it has failed, or what it
    waits for while it loads. `stage_classes` are the custom stages that a reply may ask for.
    `restarts` is how often the engine was started again after a fault, `last_fault` the last of
    these.
    """

    readiness: Readiness
    name: str
    detail: str = ""
    context: int = 0
    slots: int = 0
    progress: float = 0.0
    recommended: Mapping[str, float] = field(default_factory=dict)
    error: Message | None = None
    provenance: Provenance = field(default_factory=Provenance)
    missing: frozenset[Capability] = frozenset()
    not_taken: frozenset[str] = frozenset()
    stage_classes: StageClasses = NO_STAGES
    restarts: int = 0
    last_fault: Message | None = None


class Backend(Protocol):
    """A source of replies to conversations, such as the engine or a remote server."""

    def describe(self) -> Description:
        """Return what it is and whether it is ready; cheap, from any thread."""

    def start(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        *,
        policy: ContextPolicy = ContextPolicy.REFUSE,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Begin a reply to `messages`, or continue the reply that is the last of them.

        The Reply of a continued one has the new tokens and their text only. Its `prompt.left_out`
        tells what `policy` did. A backend that cannot steer a reply refuses any `start_options` but
        DEFAULT_START with EngineError. Raises PromptError, ParameterError or EngineError.
        """

    def settle(self, params: SamplingParams) -> SamplingParams:
        """Return the settings that a reply is written with: those not taken here are off."""

    def fit(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        policy: ContextPolicy = ContextPolicy.REFUSE,
    ) -> ReplyPrompt:
        """Return the prompt that `start` would use, and what it leaves out. Raises the same."""

    def measure(self, messages: Sequence[ChatMessage]) -> int:
        """Return how many tokens of the context `messages` take, nothing left out, for a meter.

        Without a question yet, the count is as if an empty one followed. Quick for messages that
        were measured or sent before. An estimate where nobody counts. Raises PromptError or
        EngineError.
        """

    def text_of(self, ids: Sequence[int]) -> str:
        """Return the text of the first `ids` of a reply, as the reply's own text has it.

        Control tokens have no text, and an incomplete last character is left out. Raises
        InvalidMessage for ids of another model, EngineError where tokens are not known.
        """

    def load_in_background(self) -> object:
        """Load in a thread of its own; `describe` tells the progress."""

    def close(self) -> None:
        """End what is running and free what is held."""
