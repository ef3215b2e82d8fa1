"""API keys: who may use the API, and how many replies each key may have at once."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from glasschat.errors import ParameterError
from glasschat.messages import Message

SHORTEST, LONGEST = 16, 256
_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Key:
    """An API key with a name.

    Only the SHA-256 hash of the secret is kept, so that no log or dump contains it. `most_running`
    limits the replies of this key that run or wait at once, None for no limit.
    """

    name: str
    digest: bytes
    most_running: int | None = None

    @classmethod
    def from_secret(cls, name: str, secret: str, most_running: int | None = None) -> "Key":
        """Hash a secret into a key. Raises ParameterError, which does not repeat the secret."""
        if not (SHORTEST <= len(secret) <= LONGEST and _KEY.fullmatch(secret)):
            raise ParameterError(
                "api_key",
                Message(
                    "{shortest} to {longest} visible ASCII characters without spaces",
                    shortest=SHORTEST,
                    longest=LONGEST,
                ),
                f"that of {name}, of {len(secret)} characters,",
            )
        if most_running is not None and not 1 <= most_running <= 100_000:
            raise ParameterError("most_running", "between 1 and 100,000", most_running)
        return cls(name, _digest(secret), most_running)


class Keyring:
    """Collection of keys. It is immutable, so any thread may use it."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, secret: str) -> Key | None:
        """Return the key of a secret, None if there is none.

        Compares every key in constant time, so that the duration tells nothing about a match.
        """
        digest = _digest(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
