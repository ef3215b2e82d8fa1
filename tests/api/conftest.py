"""Servers that several tests share."""

from collections.abc import Iterator

import pytest

from glasschat.models.scripted import scripted_model
from tests.api.serving import Served, babble, served

SAYING = "Hello wörld, how are you? 🙂"


@pytest.fixture(scope="package")
def talker() -> Iterator[Served]:
    """Says SAYING to everyone."""
    with served(scripted_model(SAYING)) as server:
        yield server


@pytest.fixture(scope="package")
def babbler() -> Iterator[Served]:
    """Draws from rows that are neither sure nor short."""
    with served(scripted_model(babble)) as server:
        yield server
