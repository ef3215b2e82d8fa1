"""The one password that a team shares. Only a hash of it is kept."""

import hashlib
import hmac
import os
import unicodedata

SHORTEST, LONGEST = 8, 256
"""How many characters a password has; whoever asks for one sees to it."""
# 16 MB and some 50 ms for a guess.
_COST = {"n": 2**14, "r": 8, "p": 1}


class Password:
    """What guesses are compared with."""

    def __init__(self, text: str) -> None:
        self._salt = os.urandom(16)
        self._hash = self._hashed(text)

    def matches(self, guess: str) -> bool:
        """Whether that is it; takes as long for a near miss as for any other."""
        return len(guess) <= LONGEST and hmac.compare_digest(self._hash, self._hashed(guess))

    def _hashed(self, text: str) -> bytes:
        # Keyboards differ in how they write an é.
        normal = unicodedata.normalize("NFC", text).encode(errors="surrogatepass")
        return hashlib.scrypt(normal, salt=self._salt, **_COST)
