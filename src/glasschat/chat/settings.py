"""What a visitor has set when a reply is asked for."""

from dataclasses import dataclass

from glasschat.prompt import ContextPolicy
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Settings:
    """Sampling, the system prompt, and what becomes of a full context and of an unwatched reply.

    Frozen: a reply is made with what was set when it was asked for. `policy` decides about a
    conversation that the context does not hold. With `stop_unwatched` a reply is stopped a few
    seconds after its last page was closed; else it goes on and is found later.
    """

    params: SamplingParams
    system: str = ""
    stop_unwatched: bool = False
    policy: ContextPolicy = ContextPolicy.REFUSE
