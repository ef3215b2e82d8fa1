"""Who may use the API: named keys, and how much each may run at once."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from glasschat.errors import ParameterError

SHORTEST, LONGEST = 16, 256
_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Key:
    """A key by its name; the key itself is kept as a hash only, so no log or dump has it.

    `most_running` bounds the replies that run or wait at once, all of them together; None is
    without a bound of its own.
    """

    name: str
    digest: bytes
    most_running: int | None = None

    @classmethod
    def of(cls, name: str, secret: str, most_running: int | None = None) -> "Key":
        """Raises ParameterError, which does not repeat the key."""
        if not (SHORTEST <= len(secret) <= LONGEST and _KEY.fullmatch(secret)):
            raise ParameterError(
                "api_key",
                f"{SHORTEST} to {LONGEST} visible ASCII characters without spaces",
                f"that of {name}, of {len(secret)} characters,",
            )
        if most_running is not None and not 1 <= most_running <= 100_000:
            raise ParameterError("most_running", "between 1 and 100,000", most_running)
        return cls(name, _digest(secret), most_running)


class Keyring:
    """All keys. Safe to use from any thread."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, secret: str) -> Key | None:
        """Whose key that is. It takes as long whichever it is, or none."""
        digest = _digest(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
