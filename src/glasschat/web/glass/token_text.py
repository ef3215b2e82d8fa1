"""Names of tokens in the glass box: their texts, bytes or numbers."""

from collections.abc import Callable

from glasschat.backends import LocalBackend
from glasschat.backends.base import Backend
from glasschat.errors import EngineStopped, ParameterError

TokenName = str | list[int]
"""A token's text, or its bytes where they are no text by themselves."""


class TokenNames:
    """Names tokens by the vocabulary of the loaded model, if that model wrote the reply.

    `known` is whether it did. Otherwise a token's name is its number.
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
        """The function from an id to the token's bytes, where names are known."""
        return self._vocabulary.token_bytes if self._vocabulary else None

    @property
    def control_pieces(self) -> frozenset[str]:
        """The texts of the model's control tokens, as far as they are known."""
        return self._vocabulary.control_pieces if self._vocabulary else frozenset()

    def __call__(self, token_id: int) -> TokenName:
        """Return the name of a token."""
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


def quote_name(name: TokenName) -> str:
    """Return a name in quotation marks for a sentence; bytes as hexadecimal numbers."""
    if isinstance(name, str):
        return f"“{name}”"
    return " ".join(f"{byte:02X}" for byte in name)
