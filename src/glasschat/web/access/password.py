"""The password that a team shares, of which only a hash is kept."""

import hashlib
import hmac
import os
import unicodedata

SHORTEST, LONGEST = 8, 256
"""Bounds of the number of characters; whoever reads a password checks them."""
# 16 MB and some 50 ms for a guess.
_COST = {"n": 2**14, "r": 8, "p": 1}


class Password:
    """Salted scrypt hash that guesses are compared with."""

    def __init__(self, text: str) -> None:
        self._salt = os.urandom(16)
        self._hash = self._hash_of(text)

    def matches(self, guess: str) -> bool:
        """Tell whether the guess is right, in the same time for a near miss as for any other."""
        return len(guess) <= LONGEST and hmac.compare_digest(self._hash, self._hash_of(guess))

    def _hash_of(self, text: str) -> bytes:
        # Keyboards differ in how they write an é.
        normal = unicodedata.normalize("NFC", text).encode(errors="surrogatepass")
        return hashlib.scrypt(normal, salt=self._salt, **_COST)
