"""Rate limit of password guesses: a few at once, then slowly."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_ADDRESSES = 4096


@dataclass(frozen=True, slots=True)
class Rate:
    """Rate of a token bucket: `burst` guesses at once, one more for each `seconds` that pass."""

    burst: int
    seconds: float


PER_ADDRESS = Rate(5, 30.0)
# This one limits whoever has many addresses, at 43,000 guesses a day. It also means that they can
# keep others from signing in. Sessions that have begun are not touched.
OVERALL = Rate(100, 2.0)


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float

    def refill(self, pace: Rate, now: float) -> None:
        self.left = min(pace.burst, self.left + (now - self.at) / pace.seconds)
        self.at = now

    def wait_s(self, pace: Rate) -> float:
        return max(0.0, (1 - self.left) * pace.seconds)


class AttemptLimiter:
    """Token buckets of guesses: one for each address and one for all. For one thread; bounded.

    A guess is taken before it is checked, so that many at once count as many, and refunded when
    it was right.
    """

    def __init__(
        self,
        each: Rate = PER_ADDRESS,
        together: Rate = OVERALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._each, self._together, self._clock = each, together, clock
        self._all = _Bucket(together.burst, clock())
        self._of: OrderedDict[str, _Bucket] = OrderedDict()

    def acquire(self, address: str) -> float:
        """Take a guess; return 0 where the address may guess now, else the seconds to wait."""
        now = self._clock()
        one = self._bucket(address, now)
        self._all.refill(self._together, now)
        wait_s = max(one.wait_s(self._each), self._all.wait_s(self._together))
        if not wait_s:
            one.left -= 1
            self._all.left -= 1
        return wait_s

    def refund(self, address: str) -> None:
        """Give a guess back that was right."""
        now = self._clock()
        one = self._bucket(address, now)
        one.left = min(self._each.burst, one.left + 1)
        self._all.left = min(self._together.burst, self._all.left + 1)

    def _bucket(self, address: str, now: float) -> _Bucket:
        name = network(address)
        bucket = self._of.pop(name, None) or _Bucket(self._each.burst, now)
        bucket.refill(self._each, now)
        self._of[name] = bucket
        while len(self._of) > MAX_ADDRESSES:
            self._of.popitem(last=False)
        return bucket


def network(address: str) -> str:
    """Return the network that one guesser has: an IPv4 address, or the 64 bits of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)
