"""How many examples a property test runs: few in `make test`, all of them in `make test-all`."""

from hypothesis import settings

FULL = 100
"""What hypothesis runs by default, and the profile `full` with it."""


def examples(full: int) -> int:
    """Return the number for `max_examples` of a test that runs `full` in the profile `full`.

    The profile in force scales it: with 20 examples by default, a fifth of `full`.
    """
    profile = settings.default
    assert profile is not None
    return max(1, round(full * profile.max_examples / FULL))
