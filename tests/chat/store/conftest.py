"""A store of either kind, and small conversations to put into it."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from glasschat.chat.node import Run, new_id
from glasschat.chat.store import Store, open_store
from glasschat.chat.tree import Tree
from glasschat.sampling import SamplingParams
from tests.support.postgres import postgres_server

ME = "me"
PARAMS = SamplingParams(temperature=0.5, seed=7)
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server for this run of the tests: its URL, without a database."""
    with postgres_server() as url:
        yield url


def new_database(postgres: str, template: str = "template1") -> str:
    """Create a copy of the database `template`, and return its URL."""
    name = f"test{next(_numbers)}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return f"{postgres}/{name}"


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store in SQLite, to be copied: its migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    open_store(path).close()
    return path


@pytest.fixture(scope="session")
def empty_database(postgres: str) -> str:
    """The name of a database with an empty store, to be copied."""
    url = new_database(postgres)
    open_store(url).close()
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be, in either kind of database: nothing is there.

    Where a test asks for `store` too, that store is there.
    """
    is_store = "store" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "conversations.db"
        if is_store:
            shutil.copy(request.getfixturevalue("empty_file"), path)
        return str(path)
    postgres = request.getfixturevalue("postgres")
    if is_store:
        return new_database(postgres, request.getfixturevalue("empty_database"))
    return new_database(postgres)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    opened = open_store(url)
    yield opened
    opened.close()


def asked(store: Store, *texts: str, owner: str = ME) -> tuple[str, Tree]:
    """A conversation of user turns, each answered by its text in capitals."""
    conversation = store.create(owner).id
    tree = Tree()
    for text in texts:
        tree = tree.ask(new_id(), text)
        assert tree.last is not None
        store.add_turn(owner, conversation, tree.last)
        tree = answered(tree, text.upper())
        assert tree.last is not None
        store.add_turn(owner, conversation, tree.last)
    return conversation, tree


def answered(tree: Tree, text: str) -> Tree:
    """With a reply from elsewhere at the end of the open path."""
    from glasschat.chat.node import Node

    assert tree.last is not None
    return tree.add(Node(new_id(), tree.last.id, "assistant", text))


def running() -> Run:
    """A run that is being written."""
    return Run(PARAMS)
