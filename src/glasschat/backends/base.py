"""What pages and the API talk to, whatever generates the tokens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from glasschat.backends.provenance import Provenance
from glasschat.engine import DEFAULT_START, Reply, ReplyPrompt, StartOptions
from glasschat.models.base import Model
from glasschat.prompt import ChatMessage, ContextPolicy
from glasschat.sampling import NO_STAGES, SamplingParams, StageClasses

Loader = Callable[[Callable[[float], None]], Model]
"""Loads a model, telling its progress from 0 to 1."""


class Readiness(StrEnum):
    """Whether replies can be asked for."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Capability(StrEnum):
    """What can be done with the replies of a backend, beyond reading them."""

    GO_ON = "go_on"
    """A reply that was cut is continued where it was cut."""
    LOGPROBS = "logprobs"
    """The likeliest tokens in each place are known."""
    STAGES = "stages"
    """What each stage did to the candidates is known."""
    DRAW = "draw"
    """The number that decided is known."""
    WHAT_IF = "what_if"
    """What other settings would have done can be computed."""
    BRANCHING = "branching"
    """Another token can be taken in any place, and the reply goes on exactly from there."""
    DEBUGGER = "debugger"
    """Replies pause, go step by step, and take a token that was chosen by hand."""
    PROMPT_TOKENS = "prompt_tokens"
    """Every token of the prompt is known, and where it comes from."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a visitor should know of a backend.

    `progress` of the loading is between 0 and 1. `detail` is a short text such as the
    quantisation, `context` the tokens that prompt and reply may have together; both are empty
    until the model is known, and `context` is 0 where it never is. `recommended` are its makers'
    sampling settings, by the names of SamplingParams. `provenance` is what a record of a reply
    should say besides the name. `missing` is what cannot be done with its replies, `not_taken`
    are the settings, by the names of SamplingParams, that do nothing there. `error` is why it has
    failed, or what it waits for while it loads. `stage_classes` are the stages of one's own that a
    reply may ask for. `restarts` is how often the engine was started again after a fault,
    `last_fault` the last of these.
    """

    readiness: Readiness
    name: str
    detail: str = ""
    context: int = 0
    slots: int = 0
    progress: float = 0.0
    recommended: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    provenance: Provenance = field(default_factory=Provenance)
    missing: frozenset[Capability] = frozenset()
    not_taken: frozenset[str] = frozenset()
    stage_classes: StageClasses = NO_STAGES
    restarts: int = 0
    last_fault: str | None = None


class Backend(Protocol):
    """Generates replies to conversations."""

    def describe(self) -> Description:
        """What it is and whether it is ready; cheap, from any thread."""

    def start(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        *,
        policy: ContextPolicy = ContextPolicy.REFUSE,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Begin a reply to `messages`, or go on with the reply that is the last of them.

        The Reply of one that goes on has the new tokens and their text only. Its
        `prompt.left_out` tells what `policy` did. A backend that cannot steer a reply refuses
        any `start_options` but DEFAULT_START with EngineError. Raises PromptError,
        ParameterError or EngineError.
        """

    def settle(self, params: SamplingParams) -> SamplingParams:
        """The settings that a reply is written with: what is not taken here is off."""

    def fit(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        policy: ContextPolicy = ContextPolicy.REFUSE,
    ) -> ReplyPrompt:
        """The prompt that `start` would use, and what would be left out. Raises as `start` does."""

    def measure(self, messages: Sequence[ChatMessage]) -> int:
        """How many tokens of the context `messages` take, nothing left out, for a meter.

        Without a question yet, as if an empty one followed. Quick for messages that were measured
        or sent before. An estimate where nobody counts. Raises PromptError or EngineError.
        """

    def text_of(self, ids: Sequence[int]) -> str:
        """What the first `ids` of a reply say, as its text has it.

        Control tokens say nothing, and of a last character that is not whole nothing is said yet.
        Raises InvalidMessage for ids of another model, EngineError where tokens are not known.
        """

    def load_in_background(self) -> object:
        """Get ready in a thread of its own; `describe` tells how far that is."""

    def close(self) -> None:
        """End what is running and give back what is held."""
