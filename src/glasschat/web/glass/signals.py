"""Bodies that the glass box's page sends, as strict models: debugger signals and start options."""

from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glasschat.engine import Breakpoint
from glasschat.errors import InvalidMessage
from glasschat.glass import BestChanges, EntropyAbove, ProbabilityBelow, TextAppears

MOST_STEPS = 100_000
MOST_BREAKPOINTS = 20
LARGEST_TOKEN = 2**31


class _Body(BaseModel):
    """A body whose values have the very types that JSON gives; other keys are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)


class ProbabilityBreakpoint(_Body):
    """Pauses before a choice with a probability below `value`."""

    kind: Literal["probability"]
    value: float

    def build(self) -> Breakpoint:
        """Return the engine's breakpoint. Raises ParameterError for a value out of range."""
        return ProbabilityBelow(self.value)


class EntropyBreakpoint(_Body):
    """Pauses before a choice with an entropy above `value`, in bits."""

    kind: Literal["entropy"]
    value: float

    def build(self) -> Breakpoint:
        """Return the engine's breakpoint. Raises ParameterError for a value out of range."""
        return EntropyAbove(self.value)


class TextBreakpoint(_Body):
    """Pauses behind the token with which the text `value` has appeared."""

    kind: Literal["text"]
    value: str

    def build(self) -> Breakpoint:
        """Return the engine's breakpoint. Raises ParameterError for an empty text."""
        return TextAppears(self.value)


class BestBreakpoint(_Body):
    """Pauses before a choice where a stage changes the best token."""

    kind: Literal["best"]

    def build(self) -> Breakpoint:
        """Return the engine's breakpoint of that kind."""
        return BestChanges()


Breakpoints = Annotated[
    list[
        Annotated[
            ProbabilityBreakpoint | EntropyBreakpoint | TextBreakpoint | BestBreakpoint,
            Field(discriminator="kind"),
        ]
    ],
    Field(max_length=MOST_BREAKPOINTS),
]


class DebuggerSignal(_Body):
    """A signal to a reply that is being written.

    `count` is how many steps to make, `token` the id to force. `breakpoints` replace those that the
    reply has; None leaves them.
    """

    breakpoints: Breakpoints | None = None
    action: Literal["pause", "resume", "step", "force", "cancel", "break"]
    count: int = Field(1, ge=0, le=MOST_STEPS)
    token: int = Field(-1, ge=0, le=LARGEST_TOKEN)


class StartOptionsBody(_Body):
    """How the next replies start: paused or not, with which breakpoints."""

    breakpoints: Breakpoints = []
    paused: bool = False


B = TypeVar("B", bound=_Body)


def parse_body(model: type[B], body: Any) -> B:
    """Return `body` as that model. Raises InvalidMessage with what is wrong in a line."""
    try:
        found = model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        _refuse(first["loc"], first["input"], body)
    if isinstance(found, DebuggerSignal) and found.action == "force" and found.token < 0:
        _refuse(("token",), None, body)
    return found


def _refuse(location: tuple[int | str, ...], value: object, body: Any) -> NoReturn:
    """Raise InvalidMessage for the value at `location` of a body."""
    match location:
        case ("breakpoints",):
            raise InvalidMessage(
                "breakpoints are a list of at most {most_breakpoints}",
                most_breakpoints=MOST_BREAKPOINTS,
            ) from None
        case ("breakpoints", *_):
            raise InvalidMessage("a breakpoint has a kind that is not known, or no value") from None
        case ("action",):
            action = body.get("action") if isinstance(body, dict) else None
            raise InvalidMessage(
                "the debugger has no signal {action}", action=repr(str(action)[:20])
            ) from None
        case ("count" | "token" as name,):
            most = MOST_STEPS if name == "count" else LARGEST_TOKEN
            raise InvalidMessage(
                "a whole number up to {most:,} is wanted, not {value}",
                most=most,
                value=repr(str(value)[:20]),
            ) from None
        case _:
            raise InvalidMessage("the signal is no JSON object") from None
