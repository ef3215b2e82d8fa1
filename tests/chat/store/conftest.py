"""A store of either kind, and small conversations to put into it."""

import itertools
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


def new_database(postgres: str) -> str:
    """The URL of a database of its own."""
    name = f"test{next(_numbers)}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgres}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store may be, in either kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "conversations.db")
    return new_database(request.getfixturevalue("postgres"))


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
