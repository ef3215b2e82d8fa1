"""Install clients of the API that cannot share the environment of the tests.

python tools/clients.py             prints where they are
python tools/clients.py --install   installs them first, if need be

Vercel's AI SDK is JavaScript; guidellm wants another click than schemathesis. Each has a folder
beside the environment's own, made anew when its pins change. One that cannot be had stops
nothing here: its tests say why they did not run.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

PINS = Path(__file__).resolve().parent.parent / "tests" / "clients"
HOME = Path(sys.prefix) / "clients"
STAMP = "installed.txt"


class ClientMissing(Exception):
    """A client that is not here, with the reason and what to do."""


def ai_sdk() -> Path:
    """Return the folder with the AI SDK's node_modules. Raises ClientMissing."""
    return _find_installed(HOME / "ai_sdk", PINS / "ai_sdk" / "package-lock.json")


def guidellm() -> Path:
    """Return the path of guidellm's program. Raises ClientMissing."""
    return _program(_find_installed(HOME / "guidellm", PINS / "guidellm.txt"), "guidellm")


def node() -> str:
    """Return the path of Node.js. Raises ClientMissing."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        raise ClientMissing("there is no node with npm on the path (Debian: `apt install npm`)")
    return found


def _find_installed(folder: Path, pins: Path) -> Path:
    stamp = folder / STAMP
    if not stamp.is_file() or stamp.read_text() != _fingerprint(pins):
        raise ClientMissing(
            f"{folder.name} is not installed as {pins.name} has it: `python tools/clients.py "
            "--install` does that, or says why it cannot"
        )
    return folder


def _fingerprint(pins: Path) -> str:
    return hashlib.sha256(pins.read_bytes()).hexdigest()


def install_ai_sdk() -> None:
    """Install the AI SDK as its lock file says. Raises ClientMissing."""
    node()
    folder, source = HOME / "ai_sdk", PINS / "ai_sdk"
    _clear(folder)
    for name in (".npmrc", "package.json", "package-lock.json"):
        shutil.copy(source / name, folder)
    npm = shutil.which("npm") or "npm"
    _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
    (folder / STAMP).write_text(_fingerprint(source / "package-lock.json"))


def install_guidellm() -> None:
    """Install guidellm beside this environment, whose packages it shares. Raises ClientMissing.

    torch and transformers are a gigabyte, and here already.
    """
    folder, pins = HOME / "guidellm", PINS / "guidellm.txt"
    _clear(folder)
    venv.create(folder, with_pip=True)
    python = _program(folder, "python")
    inner = subprocess.check_output(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    (Path(inner.strip()) / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _run([str(python), "-m", "pip", "install", "-q", "--no-deps", "-r", str(pins)], folder)
    _run([str(_program(folder, "guidellm")), "--version"], folder)
    (folder / STAMP).write_text(_fingerprint(pins))


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _program(folder: Path, name: str) -> Path:
    windows = sys.platform == "win32"
    return folder / ("Scripts" if windows else "bin") / (f"{name}.exe" if windows else name)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise ClientMissing(f"{Path(command[0]).name} gave up: {' | '.join(said)}")


CLIENTS: dict[str, tuple[Callable[[], Path], Callable[[], None]]] = {
    "the AI SDK": (ai_sdk, install_ai_sdk),
    "guidellm": (guidellm, install_guidellm),
}


def main() -> int:
    """Print where they are; with --install, install what is missing and can be had."""
    for name, (find, install) in CLIENTS.items():
        try:
            try:
                found = find()
            except ClientMissing:
                if "--install" not in sys.argv[1:]:
                    raise
                print(
                    f"No {name.removeprefix('the ')} for the tests yet: installing it", flush=True
                )
                install()
                found = find()
            print(f"{name}: {found}")
        except ClientMissing as missing:
            print(f"{name}: {missing}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
