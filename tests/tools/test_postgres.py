"""The way to a PostgreSQL for the tests of the store."""

from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import postgres_server
from tools import postgres


def test_a_stub_is_not_taken_for_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client's package brings initdb's manual and no server, another's a script that fails."""
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("GLASSCHAT_POSTGRES", str(tmp_path))
    assert postgres.find_postgres() is None
    assert postgres.main() == 1


def test_a_server_of_the_tests_ends_with_them() -> None:
    with postgres_server() as url, psycopg.connect(f"{url}/postgres") as connection:
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        assert Path(folder).is_dir()
    assert not Path(folder).exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"{url}/postgres")
