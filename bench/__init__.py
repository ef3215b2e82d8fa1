"""Benchmarks of glasschat beside other programs, in one run on one machine. Not in the wheel.

- `python -m bench` (`make bench`): decode, batching, chat, page and API against the rivals.
- `python -m bench.gpu`: decoding on a GPU.
- `python -m bench.soak`: many clients at once, and what must hold under them.

glasschat never imports this package.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def child_environment(**variables: str) -> dict[str, str]:
    """Return the environment for a child process that runs a module of this package.

    This package is not installed, so the child is given its folder by PYTHONPATH.
    """
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **variables}
