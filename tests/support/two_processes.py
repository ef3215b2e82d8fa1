"""How the suite is shared out where several processes run it, as `make test` does on two cores."""

from collections import Counter
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/e2e/"
FOLDER = "[folder"


class BrowserApart(LoadScopeScheduling):  # type: ignore[misc]
    """One process has the browser's tests, the others have the rest; a file's tests stay together.

    Two browsers at once take longer than one after the other, and servers under test beside them
    miss their times. Whoever has nothing left of its own kind takes what is there. The group mark
    of `--dist loadgroup` does nothing with pytest 9.2 (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        # A server with another backend is a scope of its own, or both would be up at once.
        return _file(nodeid) + FOLDER * (FOLDER in nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        browser = node is min(self.assigned_work, key=lambda known: known.gateway.id)
        for scope in self.workqueue:
            if scope.startswith(BROWSER) == browser:
                self.workqueue.move_to_end(scope, last=False)
                break
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BrowserApart:
    """Take the scheduler above, whatever `--dist` says."""
    # In the order of the collection, as it is below.
    config.option.loadscopereorder = False
    return BrowserApart(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the browser's files first, by the server that they ask for and the longest before all.

    The server of the whole session that a parameter chooses then starts once.
    """
    files = Counter(_file(item.nodeid) for item in items)

    def late(item: pytest.Item) -> tuple[bool, bool, int, str]:
        file = _file(item.nodeid)
        if file.startswith(BROWSER):
            return False, FOLDER in item.nodeid, -files[file], file
        return True, False, 0, ""

    items.sort(key=late)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
