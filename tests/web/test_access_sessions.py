"""Who is signed in, and how often may be guessed: bounded, and over when it is over."""

import ipaddress
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from glasschat.web.access.attempts import (
    MAX_ADDRESSES,
    OVERALL,
    PER_ADDRESS,
    AttemptLimiter,
    network,
)
from glasschat.web.access.base import User
from glasschat.web.access.password import Password
from glasschat.web.access.sessions import Sessions, token_hash

ADA = User("https://id.example#1", "Ada", can_sign_out=True)


@dataclass
class Clock:
    """A clock that is moved by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_with_its_time() -> None:
    clock = Clock()
    sessions = Sessions(lifetime_s=60, clock=clock)
    assert sessions.begin("k", ADA)
    clock.now += 59
    assert sessions.find("k") == ADA
    clock.now += 1
    assert sessions.find("k") is None
    assert sessions.find(None) is None


def test_whoever_signed_out_stays_out_by_that_key() -> None:
    sessions = Sessions()
    sessions.begin("k", ADA)
    sessions.end("k")
    assert sessions.find("k") is None
    assert sessions.has_ended("k")
    assert not sessions.begin("k", ADA), "a page that is still open would sign in again"
    assert sessions.find("k") is None
    assert sessions.begin("another", ADA)


def test_strangers_cannot_make_it_forget_who_signed_out() -> None:
    sessions = Sessions(most=3)
    sessions.begin("k", ADA)
    sessions.end("k")
    for number in range(10):
        sessions.end(f"made up {number}")
    assert sessions.has_ended("k")


def test_sessions_are_bounded_and_the_oldest_goes_first() -> None:
    sessions = Sessions(most=3)
    for number in range(5):
        sessions.begin(str(number), ADA)
    assert [sessions.find(str(number)) is not None for number in range(5)] == [0, 0, 1, 1, 1]


def test_what_is_kept_does_not_sign_anybody_in() -> None:
    assert "token" not in token_hash("token")
    assert token_hash("token") != token_hash("token ")


def test_five_guesses_at_once_then_one_every_half_minute() -> None:
    clock = Clock()
    attempts = AttemptLimiter(clock=clock)
    assert [attempts.acquire("192.0.2.1") for _ in range(PER_ADDRESS.burst)] == [
        0
    ] * PER_ADDRESS.burst
    assert attempts.acquire("192.0.2.1") == PER_ADDRESS.seconds
    assert attempts.acquire("192.0.2.2") == 0, "somebody else may"
    clock.now += PER_ADDRESS.seconds / 2
    assert attempts.acquire("192.0.2.1") == PER_ADDRESS.seconds / 2
    clock.now += PER_ADDRESS.seconds / 2
    assert attempts.acquire("192.0.2.1") == 0
    assert attempts.acquire("192.0.2.1") > 0


def test_a_right_password_costs_no_guess() -> None:
    attempts = AttemptLimiter(clock=Clock())
    for _ in range(3 * OVERALL.burst):
        assert attempts.acquire("192.0.2.1") == 0
        attempts.refund("192.0.2.1")


def test_many_addresses_share_one_allowance() -> None:
    clock = Clock()
    attempts = AttemptLimiter(clock=clock)
    addresses = (f"198.51.{n // 256}.{n % 256}" for n in range(10 * OVERALL.burst))
    taken = sum(attempts.acquire(address) == 0 for address in addresses)
    assert taken == OVERALL.burst
    clock.now += OVERALL.seconds
    assert attempts.acquire("203.0.113.1") == 0
    assert attempts.acquire("203.0.113.2") > 0


def test_a_day_of_guessing_from_everywhere_stays_below_what_a_password_has() -> None:
    """8 random letters are 2·10¹¹: the pace for all makes that 13,000 years."""
    guesses_a_day = OVERALL.burst + 24 * 3600 / OVERALL.seconds
    assert 26**8 / guesses_a_day / 365 > 10_000


@given(st.lists(st.ip_addresses(), min_size=1, max_size=50))
def test_no_addresses_make_it_forget_or_grow(addresses: list[ipaddress.IPv4Address]) -> None:
    attempts = AttemptLimiter(clock=Clock())
    for address in addresses:
        attempts.acquire(str(address))
    assert len(attempts._of) <= len({network(str(address)) for address in addresses})


def test_addresses_are_bounded() -> None:
    attempts = AttemptLimiter(clock=Clock())
    for number in range(MAX_ADDRESSES + 100):
        attempts.acquire(str(ipaddress.IPv4Address(number)))
    assert len(attempts._of) == MAX_ADDRESSES


def test_one_ipv6_customer_is_one_guesser() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1")
    assert network("2001:db8::1") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1")
    assert network("testclient") == network("")


def test_the_password_is_told_from_others_and_is_not_kept() -> None:
    password = Password("correct horse é")
    assert password.matches("correct horse é")
    assert password.matches("correct horse e\u0301"), "typed on another keyboard"
    for wrong in (
        "",
        "correct horse",
        "Correct horse é",
        "correct horse é ",
        "x" * 10_000,
        "\ud800",
    ):
        assert not password.matches(wrong)
    assert "correct" not in repr(vars(password))
    assert Password("correct horse é")._hash != password._hash, "salted"
