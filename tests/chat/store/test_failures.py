"""Whatever is wrong with the database, one line says what and what to do."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from glasschat.chat.node import Ending, Node
from glasschat.chat.store import Store, database, open_store
from glasschat.chat.store.schema import HEAD
from glasschat.errors import (
    StoreDamaged,
    StoreError,
    StoreReadOnly,
    StoreTooNew,
    StoreUnavailable,
)
from tests.chat.store.conftest import ME, asked, new_database
from tests.chat.store.writing import begun


def full_store(path: Path) -> str:
    store = open_store(path)
    for number in range(30):
        conversation, _ = asked(store, f"question {number} " + "about the sea " * 60)
    store.close()
    return conversation


def one_line(error: StoreError, *parts: str) -> bool:
    said = str(error)
    return "\n" not in said and len(said) < 400 and all(part in said for part in parts)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 500)
    with pytest.raises(StoreDamaged, match="is no database: move it away") as caught:
        open_store(path)
    assert one_line(caught.value, str(path))
    assert path.read_text() == "dear diary, " * 500


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "music.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(StoreDamaged, match="another program's"):
        open_store(path)
    with sqlite3.connect(path) as connection:
        assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["songs"]


def test_damaged_pages_are_told_and_nothing_else_is(tmp_path: Path) -> None:
    """Wherever a page is damaged: reading works, or says that it is damaged."""
    path = tmp_path / "conversations.db"
    conversation = full_store(path)
    size = path.stat().st_size
    told = 0
    for place in range(4096, size, 4096 * 5):
        broken = tmp_path / "broken.db"
        shutil.copy(path, broken)
        with broken.open("r+b") as file:
            file.seek(place)
            file.write(b"\xa5" * 4096)
        actions: list[Callable[[Store], object]] = [
            lambda store: store.load(ME, conversation),
            lambda store: store.conversations(ME),
            lambda store: store.search(ME, "question"),
            lambda store: store.add_turn(ME, conversation, Node("x", None, "user", "more")),
        ]
        for action in actions:
            try:
                store = open_store(broken)
            except StoreDamaged:
                told += 1
                continue
            try:
                action(store)
            except StoreDamaged as error:
                assert one_line(error, "broken.db", ".recover")
                told += 1
            finally:
                store.close()
    assert told > 5


def test_a_file_cut_in_half_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    full_store(path)
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(StoreDamaged):
        store = open_store(path)
        for item in store.conversations(ME, 100).items:
            store.load(ME, item.id)


@contextmanager
def somebody_else() -> Iterator[Path]:
    """A folder, and rights that do not reach everywhere as root's do."""
    folder = Path(tempfile.mkdtemp(prefix="glasschat-readonly-"))
    root = os.geteuid() == 0
    if root:
        shutil.chown(folder, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def test_a_file_that_may_only_be_read_is_read() -> None:
    with somebody_else() as folder:
        path = folder / "conversations.db"
        conversation = full_store(path)
        path.chmod(0o400)
        store = open_store(path)
        assert len(store.load(ME, conversation).tree.path) == 2
        assert store.search(ME, "question")
        with pytest.raises(StoreReadOnly, match="may not be written: mend") as caught:
            store.add_turn(ME, conversation, Node("x", None, "user", "more"))
        assert one_line(caught.value, str(path))
        store.close()


def test_a_reply_cut_by_a_crash_is_offered_even_where_nothing_can_be_written() -> None:
    with somebody_else() as folder:
        path = folder / "conversations.db"
        store = open_store(path)
        conversation = store.create(ME).id
        reply, _ = begun(store, conversation)
        with store.database.write() as connection:
            connection.exec_driver_sql("UPDATE runs SET heartbeat = 0")
        store.close()
        path.chmod(0o400)
        store = open_store(path)
        node = store.load(ME, conversation).tree[reply]
        assert node.cut and node.runs[-1].ending is Ending.INTERRUPTED
        store.close()


def test_a_folder_that_may_only_be_read() -> None:
    with somebody_else() as folder:
        (folder / "inner").mkdir(mode=0o500)
        for path in (folder / "inner" / "new.db", folder / "inner" / "new folder" / "new.db"):
            with pytest.raises(StoreUnavailable, match="cannot be opened") as caught:
                open_store(path)
            assert one_line(caught.value, str(path), "--store")


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        open_store(tmp_path)


def test_another_who_does_not_let_go(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    open_store(path).close()
    store = open_store(path, busy_s=0.05)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked by another program"):
            store.create(ME)
        assert store.conversations(ME).items == ()
        other.execute("ROLLBACK")
    store.create(ME)
    store.close()


def test_a_lock_in_postgresql_that_lasts(postgres: str) -> None:
    url = new_database(postgres)
    store = open_store(url, busy_s=0.1)
    conversation = store.create(ME).id
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM conversations FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="busy"):
            store.rename(ME, conversation, "mine")
    store.rename(ME, conversation, "mine")
    store.close()


def test_postgresql_that_cannot_be_reached(postgres: str) -> None:
    for url, said in (
        ("postgresql://me:secret@127.0.0.1:9/chats", "cannot be reached"),
        (f"{postgres}/nowhere", "cannot be reached"),
    ):
        with pytest.raises(StoreUnavailable, match=said) as caught:
            open_store(url, busy_s=2)
        assert one_line(caught.value, "postgresql://", "127.0.0.1")
        assert "secret" not in str(caught.value)


def test_postgresql_that_may_only_be_read(postgres: str) -> None:
    url = new_database(postgres)
    open_store(url).close()
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    store = open_store(url)
    assert store.conversations(ME).items == ()
    with pytest.raises(StoreReadOnly):
        store.create(ME)
    store.close()


def test_postgresql_that_was_started_again_is_used_again(postgres: str) -> None:
    url = new_database(postgres)
    store = open_store(url)
    store.create(ME)
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [url.rpartition("/")[2]],
        )
    store.create(ME)
    store.close()


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    store = open_store(url)
    conversation, _ = asked(store, "hello")
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE glasschat_schema SET version_num = '9999'")
    store.close()
    with pytest.raises(StoreTooNew, match=r"newer glasschat.*9999.*update glasschat"):
        open_store(url)
    with store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE glasschat_schema SET version_num = '{HEAD}'")
    assert len(open_store(url).load(ME, conversation).tree.path) == 2
    store.close()


@pytest.mark.parametrize(
    "store", ["mysql://host/db", "postgresql://[", "sqlite://", "sqlite:///:memory:"]
)
def test_what_no_store_can_be(store: str) -> None:
    with pytest.raises(StoreUnavailable, match="postgresql://"):
        open_store(store)


def test_the_file_is_in_the_users_data_folder_for_their_eyes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GLASSCHAT_DATA", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    assert database.data_folder() == tmp_path / ".local/share/glasschat"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert database.data_folder() == tmp_path / ".local/share/glasschat"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert database.data_folder() == tmp_path / "xdg" / "glasschat"
    monkeypatch.setattr("sys.platform", "darwin")
    assert database.data_folder() == tmp_path / "Library/Application Support/glasschat"
    monkeypatch.setenv("GLASSCHAT_DATA", str(tmp_path / "mine"))
    store = open_store()
    assert store.place == str(tmp_path / "mine" / "conversations.db")
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700
    for path in (tmp_path / "mine").iterdir():
        assert path.stat().st_mode & 0o077 == 0
    store.close()


def test_rows_that_make_no_sense_are_damage_too(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    conversation = full_store(path)
    for change in ("UPDATE turns SET ids = x'01'", "UPDATE conversations SET params = '{'"):
        with sqlite3.connect(path) as connection:
            connection.execute(change)
        store = open_store(path)
        with pytest.raises(StoreDamaged, match="makes no sense"):
            store.load(ME, conversation)
        assert len(store.conversations(ME).items) == 30
        store.close()
