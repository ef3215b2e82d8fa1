"""A PostgreSQL server of the tests' own: on loopback, in a temporary folder, gone at the end."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.postgres import MISSING, find_postgres

USER = "glasschat"


@contextmanager
def postgres_server() -> Iterator[str]:
    """A server that runs until the block ends; its URL without a database's name."""
    programs = find_postgres()
    assert programs is not None, MISSING
    folder = Path(tempfile.mkdtemp(prefix="glasschat-postgres-"))
    user = _other_user() if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    data, log = folder / "data", folder / "log"
    initdb = [f"{programs}/initdb", "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8"]
    try:
        done = subprocess.run(
            [*initdb, "--locale=C", "--no-sync"],
            user=user,
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        port = _free_port()
        with log.open("wb") as output:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-p", str(port), *_settings()],
                user=user,
                cwd=folder,
                stdout=output,
                stderr=output,
            )
        try:
            _wait(server, port, log)
            yield f"postgresql://{USER}@127.0.0.1:{port}"
        finally:
            server.terminate()  # it waits for nobody's connection when asked a second time
            time.sleep(0.05)
            server.send_signal(2)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settings() -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "full_page_writes": "off",
        "autovacuum": "off",
        "shared_buffers": "16MB",
        "max_connections": "40",
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _other_user() -> str:
    """Whom to run as: PostgreSQL refuses root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise AssertionError("PostgreSQL refuses to run as root, and there is no user beside")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user={USER} dbname=postgres").close()
            return
        except psycopg.OperationalError:
            said = log.read_text(encoding="utf-8", errors="replace")
            assert server.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.05)
