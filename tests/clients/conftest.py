"""One server for all the programs of other people."""

from collections.abc import Iterator
from typing import NoReturn

import httpx
import pytest

from glasschat.api import ApiOptions, Key, Keyring
from glasschat.models.scripted import scripted_model
from tests.api.serving import Served, served
from tests.api.test_response_format import noise
from tests.support.serve import serve
from tools.clients import ClientMissing

KEY = "sk-0123456789abcdef"
SAYING = "Hello wörld, how are you? 🙂"


@pytest.fixture(scope="package")
def locked() -> Iterator[Served]:
    """Says SAYING, to who has KEY."""
    keys = Keyring([Key.from_secret("test", KEY)])
    with served(scripted_model(SAYING), ApiOptions(keys=keys)) as server:
        yield server


@pytest.fixture(scope="package")
def noisy() -> Iterator[Served]:
    """Says anything, and JSON where it has to."""
    with served(scripted_model(noise, context=2048)) as server:
        yield server


@pytest.fixture(scope="package")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `glasschat serve` with the built-in model."""
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    with serve("--slots", "4", "--context", "512", log_path=log) as url:
        yield url


def skip_without(missing: ClientMissing) -> NoReturn:
    """Its runtime is not ours to install: it is tested where it can be had."""
    pytest.skip(str(missing))


def metric(url: str, name: str) -> float:
    """What /metrics counts under `name`, whatever its labels."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    found = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name}{{")]
    assert found, f"no {name} in the metrics"
    return sum(map(float, found))
