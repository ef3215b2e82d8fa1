"""How the suite is parted where several processes run it, as `make test` does on two cores."""

from collections import Counter
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/e2e/"


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """A file's tests stay together, for what they share.

    The group mark of `--dist loadgroup` does nothing with pytest 9.2 (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """The one above, whatever `--dist` says."""
    # In the order of the collection, as it is below.
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's files first, the longest of them before all: they take longest, and mostly
    wait.
    """
    files = Counter(_file(item) for item in items)

    def late(item: pytest.Item) -> tuple[bool, int, str]:
        file = _file(item)
        return (False, -files[file], file) if file.startswith(BROWSER) else (True, 0, "")

    items.sort(key=late)


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
