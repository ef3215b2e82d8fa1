"""What tokens are called in the glass box."""

from collections.abc import Callable

from glasschat.backends import LocalBackend
from glasschat.backends.base import Backend
from glasschat.errors import EngineStopped, ParameterError

Name = str | list[int]
"""A token's text, or its bytes where they are no text by themselves."""


class Names:
    """Names tokens by the vocabulary of the model that runs, if that model wrote the reply.

    `known` is whether it did. Otherwise a token is called by its number.
    """

    def __init__(self, backend: Backend, fingerprint: str) -> None:
        now = backend.describe().provenance.model_fingerprint
        self._vocabulary = None
        if isinstance(backend, LocalBackend) and fingerprint == now:
            try:
                self._vocabulary = backend.vocabulary
            except EngineStopped:
                return

    @property
    def known(self) -> bool:
        """Whether tokens have names here."""
        return self._vocabulary is not None

    @property
    def token_bytes(self) -> Callable[[int], bytes] | None:
        """What a token stands for, where names are known."""
        return self._vocabulary.token_bytes if self._vocabulary else None

    @property
    def control_pieces(self) -> frozenset[str]:
        """How the model's control tokens are written, as far as that is known."""
        return self._vocabulary.control_pieces if self._vocabulary else frozenset()

    def __call__(self, token_id: int) -> Name:
        """The name of a token."""
        if self._vocabulary is None:
            return f"#{token_id}"
        try:
            piece = self._vocabulary.token_bytes(token_id)
        except ParameterError:
            return f"#{token_id}"
        try:
            return piece.decode()
        except UnicodeDecodeError:
            return list(piece)


def spoken(name: Name) -> str:
    """A name within a sentence."""
    if isinstance(name, str):
        return f"“{name}”"
    return " ".join(f"{byte:02X}" for byte in name)
