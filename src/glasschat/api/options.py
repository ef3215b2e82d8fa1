"""Options of the API server: keys, origins of web pages, time limits and logging."""

from dataclasses import dataclass, field

from glasschat.api.fields import LONGEST_TIMEOUT_S, SHORTEST_TIMEOUT_S
from glasschat.api.keys import Keyring
from glasschat.errors import ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """How the API is served. Raises ParameterError for a value out of range.

    `open` decides what happens without keys: True lets every request in, False refuses all of them
    until there is a key. `timeout_s` is the longest that any request may take, None for no limit.
    `drain_s` is how long running requests may go on after the server was told to end.
    `cors_origins` are the origins whose web pages may use the API.
    """

    keys: Keyring = field(default_factory=Keyring)
    open: bool = True
    cors_origins: tuple[str, ...] = ()
    timeout_s: float | None = None
    drain_s: float = 30.0
    log_requests: bool = False
    log_texts: bool = False

    def __post_init__(self) -> None:
        if (
            self.timeout_s is not None
            and not SHORTEST_TIMEOUT_S <= self.timeout_s <= LONGEST_TIMEOUT_S
        ):
            raise ParameterError("timeout", "between 0.1 and 86,400 s", self.timeout_s)
        if not 0 <= self.drain_s <= 86_400:
            raise ParameterError("drain", "between 0 and 86,400 s", self.drain_s)
        for origin in self.cors_origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise ParameterError("cors_origin", "an origin such as https://app.example", origin)
