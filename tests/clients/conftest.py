"""One server for all the programs of other people."""

from collections.abc import Iterator

import pytest

from glasschat.api import ApiOptions, Key, Keyring
from glasschat.models.scripted import scripted_model
from tests.api.serving import Served, served
from tests.api.test_response_format import noise

KEY = "sk-0123456789abcdef"
SAYING = "Hello wörld, how are you? 🙂"


@pytest.fixture(scope="package")
def locked() -> Iterator[Served]:
    """Says SAYING, to who has KEY."""
    keys = Keyring([Key.of("test", KEY)])
    with served(scripted_model(SAYING), ApiOptions(keys=keys)) as server:
        yield server


@pytest.fixture(scope="package")
def noisy() -> Iterator[Served]:
    """Says anything, and JSON where it has to."""
    with served(scripted_model(noise, context=2048)) as server:
        yield server
