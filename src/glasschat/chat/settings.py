"""What a visitor has set when a reply is asked for."""

from dataclasses import dataclass

from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Settings:
    """Sampling, the system prompt, and what becomes of a reply that nobody watches any more.

    Frozen: a reply is made with what was set when it was asked for. With `stop_unwatched` it is
    stopped a few seconds after its last page was closed; else it goes on and is found later.
    """

    params: SamplingParams
    system: str = ""
    stop_unwatched: bool = False
