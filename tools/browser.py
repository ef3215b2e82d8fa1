"""Find a Chromium for the browser tests, and install one where there is none.

python tools/browser.py             prints where it is
python tools/browser.py --install   installs one first, if need be
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
APPS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
PLAYWRIGHT_FOLDERS = (".cache/ms-playwright", "Library/Caches/ms-playwright")
PLAYWRIGHT_BINARIES = (
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)
MISSING = (
    "no Chromium or Chrome found for the browser tests: install one (Debian: `apt-get install "
    "chromium`; elsewhere: `.venv/bin/playwright install chromium`), or name one, as in "
    "`GLASSCHAT_BROWSER=/path/to/chrome make test`"
)


def candidates() -> Iterator[Path]:
    """Yield every path where a browser may be, the most wanted first."""
    named = os.environ.get("GLASSCHAT_BROWSER")
    if named:
        yield Path(named)
        return
    yield from (Path(found) for found in map(shutil.which, NAMES) if found)
    yield from map(Path, APPS)
    folders = [Path.home() / folder for folder in PLAYWRIGHT_FOLDERS]
    if asked := os.environ.get("PLAYWRIGHT_BROWSERS_PATH"):
        folders.insert(0, Path(asked))
    for folder in folders:
        for pattern in PLAYWRIGHT_BINARIES:
            yield from sorted(folder.glob(pattern), reverse=True)


def starts(browser: Path) -> bool:
    """Return whether it is a browser that starts, and not a stub that says where to get one."""
    if not os.access(browser, os.X_OK):
        return False
    try:
        said = subprocess.run(
            [str(browser), "--version"], capture_output=True, stdin=subprocess.DEVNULL, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0 and b"Chrom" in said.stdout


def find_browser() -> Path | None:
    """Return the first browser that starts, or None."""
    return next(filter(starts, candidates()), None)


def install_commands() -> Iterator[list[list[str]]]:
    """Yield the ways to install one on this machine, each a list of commands."""
    if shutil.which("apt-get"):
        before = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
        packages = ["chromium", "fonts-liberation"]
        commands = [[*before, "update"], [*before, "install", "-y", *packages]]
        if os.geteuid() == 0:
            yield commands
        elif shutil.which("sudo"):
            yield [["sudo", "-n", *command] for command in commands]
    playwright = Path(sys.executable).with_name("playwright")
    if playwright.exists():
        yield [[str(playwright), "install", "chromium"]]


def install_browser() -> Path | None:
    """Try each way in turn, until a browser answers."""
    for commands in install_commands():
        for command in commands:
            print(f"No browser yet: {' '.join(command)}", flush=True)
            if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
                break
        if found := find_browser():
            return found
    return None


def main() -> int:
    """Print where the browser is; with --install, install one first if it is missing."""
    found = find_browser()
    if found is None and "--install" in sys.argv[1:] and not os.environ.get("GLASSCHAT_BROWSER"):
        found = install_browser()
    if found is None:
        print(f"glasschat: {MISSING}", file=sys.stderr)
        return 1
    print(f"Browser: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
