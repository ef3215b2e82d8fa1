"""Which server elsewhere writes the replies, as it was asked for."""

from dataclasses import dataclass, field

from glasschat.backends.remote.address import Address
from glasschat.backends.remote.dialect import DIALECTS
from glasschat.errors import ServerError

LONGEST_KEY = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """A server and one of its models. Frozen and validated.

    Without a `model` it is the only one there; without a `kind`, a name of `DIALECTS`, the server
    says what it is; `context` is for those that do not tell theirs. The `key` is shown nowhere.
    Raises ServerError, which does not repeat the key.
    """

    address: Address
    model: str | None = None
    key: str | None = field(default=None, repr=False)
    context: int | None = None
    kind: str | None = None

    def __post_init__(self) -> None:
        if self.model is not None and not self.model.strip():
            raise ServerError("--remote-model is the name of a model, and this is empty")
        if self.context is not None and not 8 <= self.context < 2**31:
            raise ServerError(f"--remote-context is a whole number from 8, not {self.context:,}")
        if self.kind is not None and self.kind not in DIALECTS:
            raise ServerError(f"--remote-kind is one of {', '.join(DIALECTS)}, not {self.kind!r}")
        key = self.key
        if key is not None and not (
            0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable() and " " not in key
        ):
            # It is not repeated.
            raise ServerError(
                "the key for the remote server is one word of ASCII characters, and this is not"
            )
