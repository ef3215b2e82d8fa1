"""How often a password may be guessed: a few times at once, then slowly."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_ADDRESSES = 4096


@dataclass(frozen=True, slots=True)
class Pace:
    """`burst` guesses at once, and one more for each `seconds` that pass."""

    burst: int
    seconds: float


EACH = Pace(5, 30.0)
# Whoever has many addresses is held by this one, at 43,000 guesses a day; it also means that they
# can keep others from signing in. Sessions that have begun are not touched.
ALL = Pace(100, 2.0)


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float

    def refill(self, pace: Pace, now: float) -> None:
        self.left = min(pace.burst, self.left + (now - self.at) / pace.seconds)
        self.at = now

    def wait_s(self, pace: Pace) -> float:
        return max(0.0, (1 - self.left) * pace.seconds)


class Attempts:
    """A bucket of guesses for each address and one for all. For one thread; bounded.

    A guess is taken before it is looked at, so that many at once count as many, and given back
    when it was right.
    """

    def __init__(
        self,
        each: Pace = EACH,
        together: Pace = ALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._each, self._together, self._clock = each, together, clock
        self._all = _Bucket(together.burst, clock())
        self._of: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, address: str) -> float:
        """0 when this address may guess now; else the seconds until it may."""
        now = self._clock()
        one = self._bucket(address, now)
        self._all.refill(self._together, now)
        wait_s = max(one.wait_s(self._each), self._all.wait_s(self._together))
        if not wait_s:
            one.left -= 1
            self._all.left -= 1
        return wait_s

    def give_back(self, address: str) -> None:
        """It was right."""
        now = self._clock()
        one = self._bucket(address, now)
        one.left = min(self._each.burst, one.left + 1)
        self._all.left = min(self._together.burst, self._all.left + 1)

    def _bucket(self, address: str, now: float) -> _Bucket:
        name = network(address)
        bucket = self._of.pop(name, None) or _Bucket(self._each.burst, now)
        bucket.refill(self._each, now)
        self._of[name] = bucket
        while len(self._of) > MOST_ADDRESSES:
            self._of.popitem(last=False)
        return bucket


def network(address: str) -> str:
    """What one guesser has: an IPv4 address, or the 64 bits of an IPv6 network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)
