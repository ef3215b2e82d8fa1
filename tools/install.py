"""Make the virtual environment and install glasschat into it, showing that it is working.

    python3 tools/install.py --venv .venv --extras builtin

Runs before anything is installed, so it needs the standard library only. The long part is
llama-cpp-python, which is compiled on the spot: pip's verbose output goes to a log file, and
what it says of the compiler's progress goes to the terminal.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
TTY_SECONDS = 0.5
PLAIN_SECONDS = 15.0
LOG_LINES_SHOWN = 25

NINJA = re.compile(r"^\s*\[(\d+)/(\d+)\] ")
MAKE = re.compile(r"^\s*\[\s*(\d+)%\] ")
COLLECTING = re.compile(r"^\s*Collecting ([A-Za-z0-9._-]+)")
DOWNLOADING = re.compile(r"^\s*Downloading (?:\S*/)?([A-Za-z0-9._]+)-\S+ \(([^)]+)\)")
BUILDING = re.compile(r"^\s*Building wheel for ([A-Za-z0-9._-]+)")
INSTALLING = re.compile(r"^\s*Installing collected packages: (.*)")


class InstallError(Exception):
    """Installation cannot go on; the message is one line that names the way out."""


class Progress:
    """Parser of pip's verbose output, which says in a few words what is going on."""

    def __init__(self) -> None:
        self.status = "starting pip"
        self.compiled = False
        self._building = ""

    def feed(self, line: str) -> None:
        """Take one line of pip's output."""
        if match := BUILDING.match(line):
            self._building = match[1]
            self.status = f"building {match[1]}"
        elif match := NINJA.match(line):
            self._compiling(f"{match[1]}/{match[2]}")
        elif match := MAKE.match(line):
            self._compiling(f"{match[1]}%")
        elif match := COLLECTING.match(line):
            self.status = f"looking up {match[1]}"
        elif match := DOWNLOADING.match(line):
            self.status = f"downloading {match[1]} ({match[2]})"
        elif match := INSTALLING.match(line):
            count = match[1].count(",") + 1
            self.status = f"installing {count} package{'s' if count > 1 else ''}"

    def _compiling(self, part: str) -> None:
        self.compiled = True
        what = "llama.cpp" if "llama" in self._building.lower() else self._building or "a package"
        self.status = f"compiling {what} {part}"


def format_duration(seconds: float) -> str:
    """Format a length of time as `48 s` or `1 min 20 s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def check_python() -> None:
    """Raise InstallError when this Python cannot make the environment."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        raise InstallError(
            f"Python {found} is too old, 3.11 or newer is needed: "
            "install one and name it, as in `make run PYTHON=python3.12`"
        )
    if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
        raise InstallError(
            f"{sys.executable} comes without its venv module: install it "
            "(Debian, Ubuntu: `apt-get install python3-venv`) and run this again"
        )


def check_compiler() -> None:
    """Raise InstallError when no C or C++ compiler is to be found."""
    for variable, names in (("CC", ("cc", "gcc", "clang")), ("CXX", ("c++", "g++", "clang++"))):
        asked = shlex.split(os.environ.get(variable, ""))
        if asked:
            if shutil.which(asked[0]) is None:
                raise InstallError(f"{variable}={asked[0]} is not there: mend or unset {variable}")
        elif not any(map(shutil.which, names)):
            raise InstallError(
                f"no {'C++' if variable == 'CXX' else 'C'} compiler found ({', '.join(names)}), "
                "and llama.cpp has to be compiled: install one (Debian, Ubuntu: `apt-get install "
                "build-essential`; Fedora: `dnf install gcc-c++`; macOS: `xcode-select --install`)"
            )


def make_venv(venv: Path) -> Path:
    """Return the Python of the environment at `venv`, made now unless it is there and works."""
    python = venv / "bin" / "python"
    if python.exists():
        works = subprocess.run(
            [str(python), "-c", "import pip"], capture_output=True, stdin=subprocess.DEVNULL
        )
        if works.returncode == 0:
            return python
    print(f"Making {venv} with Python {'.'.join(map(str, sys.version_info[:3]))}", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    made = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if made.returncode != 0:
        said = (made.stdout + made.stderr).strip().splitlines() or ["no reason given"]
        raise InstallError(f"{venv} could not be made: {said[-1]}")
    return python


def has_llama_cpp(venv: Path) -> bool:
    """Return whether llama-cpp-python has been built in this environment already."""
    return any(venv.glob("lib/python*/site-packages/llama_cpp_python-*.dist-info"))


def run_pip(command: list[str], log: Path, progress: Progress, interactive: bool) -> int:
    """Run pip with its output in `log`, showing its progress; return its exit code."""
    started = time.monotonic()
    environment = {**os.environ, "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("w", encoding="utf-8", errors="replace") as sink:
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

        def read() -> None:
            assert pip.stdout is not None
            for line in pip.stdout:
                sink.write(line)
                progress.feed(line)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(TTY_SECONDS if interactive else PLAIN_SECONDS)
                if reader.is_alive() or interactive:
                    show(progress.status, time.monotonic() - started, interactive)
            return pip.wait()
        finally:
            if interactive:
                print("\r\033[K", end="", flush=True)
            if pip.poll() is None:
                pip.terminate()
                pip.wait()
            reader.join()


def show(status: str, elapsed: float, interactive: bool) -> None:
    """Print where pip is: over the last line on a terminal, as a new line elsewhere."""
    line = f"  {status}, {format_duration(elapsed)}"
    if interactive:
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\033[K{line[:width]}", end="", flush=True)
    else:
        print(line, flush=True)


def install(venv: Path, extras: str) -> None:
    """Bring the environment at `venv` to what pyproject.toml and constraints.txt say."""
    check_python()
    long_build = not has_llama_cpp(venv)
    if long_build:
        check_compiler()
    python = make_venv(venv)
    log = venv / "install.log"
    print(f"Installing glasschat[{extras}]; pip's own words go to {log}", flush=True)
    if long_build:
        print(
            "llama-cpp-python is compiled on this machine, once: 3 to 8 minutes on two cores "
            "(seconds, if pip has it in its cache)",
            flush=True,
        )
    command = [
        *(str(python), "-m", "pip", "install", "-v", "--disable-pip-version-check"),
        *("--progress-bar", "off", "-c", str(ROOT / "constraints.txt")),
        *("-e", f"{ROOT}[{extras}]"),
    ]
    started = time.monotonic()
    progress = Progress()
    code = run_pip(command, log, progress, sys.stdout.isatty())
    elapsed = format_duration(time.monotonic() - started)
    if code != 0:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        print("\n".join(f"  | {line}" for line in tail), file=sys.stderr)
        raise InstallError(
            f"pip gave up after {elapsed} while {progress.status}: the end of its log is above, "
            f"all of it is in {log}; mend that and run the same command again"
        )
    print(
        f"Installed in {elapsed}{', llama.cpp compiled' if progress.compiled else ''}", flush=True
    )


def main() -> int:
    """Parse the command line and install."""
    parser = argparse.ArgumentParser(description="make the environment and install glasschat")
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="where to make it")
    parser.add_argument("--extras", default="builtin", help="extras, separated by commas")
    arguments = parser.parse_args()
    try:
        install(arguments.venv, arguments.extras)
    except InstallError as error:
        print(f"glasschat: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nglasschat: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
