"""Find PostgreSQL's server programs for the tests of the store, and install them where they miss.

python tools/postgres.py             prints where they are
python tools/postgres.py --install   installs them first, if need be

The tests start a server of their own, on loopback and in a temporary folder; one that runs on
this machine already is not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)
MISSING = (
    "no PostgreSQL found for the tests of the store: install one (Debian: `apt-get install "
    "postgresql`; macOS: `brew install postgresql@17`), or name the folder of its programs, as in "
    "`GLASSCHAT_POSTGRES=/path/to/bin make test`"
)


def candidates() -> Iterator[Path]:
    """Yield every folder where the programs may be, the most wanted first."""
    named = os.environ.get("GLASSCHAT_POSTGRES")
    if named:
        yield Path(named)
        return
    if found := shutil.which("initdb"):
        yield Path(found).parent
    for pattern in PLACES:
        yield from sorted(Path("/").glob(pattern[1:]), reverse=True)


def starts(folder: Path) -> bool:
    """Return whether the programs are in that folder and start."""
    for name in ("initdb", "postgres"):
        if not os.access(folder / name, os.X_OK):
            return False
    said = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True)
    return said.returncode == 0 and b"PostgreSQL" in said.stdout


def find_postgres() -> Path | None:
    """Return the first folder whose programs start, or None."""
    return next(filter(starts, candidates()), None)


def install_commands() -> Iterator[list[list[str]]]:
    """Yield the ways to install them on this machine, each a list of commands."""
    if shutil.which("apt-get"):
        before = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
        commands = [[*before, "update"], [*before, "install", "-y", "postgresql"]]
        if os.geteuid() == 0:
            yield commands
        elif shutil.which("sudo"):
            yield [["sudo", "-n", *command] for command in commands]
    if shutil.which("brew"):
        yield [["brew", "install", "postgresql@17"]]


def install_postgres() -> Path | None:
    """Try each way in turn, until the programs answer."""
    for commands in install_commands():
        for command in commands:
            print(f"No PostgreSQL yet: {' '.join(command)}", flush=True)
            if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
                break
        if found := find_postgres():
            return found
    return None


def main() -> int:
    """Print where they are; with --install, install them first if they are missing."""
    found = find_postgres()
    if found is None and "--install" in sys.argv[1:] and not os.environ.get("GLASSCHAT_POSTGRES"):
        found = install_postgres()
    if found is None:
        print(f"glasschat: {MISSING}", file=sys.stderr)
        return 1
    print(f"PostgreSQL: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
