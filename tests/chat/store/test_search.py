"""What was said is found, in any script, by who said it and by nobody else."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.chat.node import Node
from glasschat.chat.saved import SavedConversation
from glasschat.chat.store import Store, open_store
from glasschat.chat.store.words import join_words, phrases, words
from glasschat.chat.tree import Tree
from tests.chat.store.conftest import ME, new_database

SAID = {
    "chinese": "为什么天空是蓝色的？因为瑞利散射。",
    "french": "Un résumé de la journée, d'après l'ÉTAT des lieux",
    "code": "def read_file(path): return path.read_text('utf-8')",
    "mixed": "用Python写一个fibonacci函数",
    "thai": "ทำไมท้องฟ้าจึงเป็นสีฟ้า",
    "russian": "Почему небо голубое?",
    "korean": "하늘은 왜 파란가요",
    "long": "filler " * 20_000 + "needle",
}


def filled(store: Store) -> Store:
    for title, text in SAID.items():
        store.add(ME, SavedConversation(title, title, tree=Tree((Node("q", None, "user", text),))))
    return store


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def chats(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """One for all queries, which change nothing."""
    if request.param == "sqlite":
        url = str(tmp_path_factory.mktemp("search") / "conversations.db")
    else:
        url = new_database(request.getfixturevalue("postgres"))
    store = filled(open_store(url))
    yield store
    store.close()


def ids(store: Store, query: str, owner: str = ME) -> list[str]:
    return [hit.conversation.id for hit in store.search(owner, query)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("天空", ["chinese"]),
        ("蓝", ["chinese"]),
        ("空天", []),
        ("瑞利 蓝色", ["chinese"]),
        ("resume", ["french"]),
        ("RÉSUMÉ journee", ["french"]),
        ("l'etat", ["french"]),
        ("read_file", ["code"]),
        ("utf-8", ["code"]),
        ("file_read", []),
        ("pyth", ["mixed"]),
        ("python写", ["mixed"]),
        ("bonacci", []),
        ("ท้องฟ้า", ["thai"]),
        ("небо", ["russian"]),
        ("파란", ["korean"]),
        ("needle", ["long"]),
        ("french", ["french"]),
        ("", []),
        (" \t", []),
        ("%", []),
        ('"', []),
        ("* OR NEAR(", []),
        ("' ; DROP TABLE turns --", []),
        ("nothing of this", []),
        ("\x00", []),
        ("\ud800", []),
        ("x" * 10_000, []),
    ],
)
def test_a_query_finds(chats: Store, query: str, found: list[str]) -> None:
    assert ids(chats, query) == found


def test_what_changes_is_found_as_it_is_now(store: Store) -> None:
    chats = filled(store)
    # Titles first, then the newest turn.
    chats.add(ME, SavedConversation("later", "something", tree=Tree((Node("q", None, "user",
        "all about chinese"),))))  # fmt: skip
    assert ids(chats, "chinese") == ["chinese", "later"]
    assert [hit.turn_id for hit in chats.search(ME, "chinese")] == [None, "q"]
    assert ids(chats, "chinese", owner="you") == []
    # An edited title is found, the old one no more.
    chats.rename(ME, "later", "rainbows")
    assert ids(chats, "rainb") == ["later"] and ids(chats, "something") == []
    # A deleted branch is not found, nor is what stands below it; both are once restored.
    chats.add_turn(ME, "chinese", Node("a", "q", "assistant", "molecules scatter"))
    chats.add_turn(ME, "chinese", Node("b", "q", "assistant", "or they do not"))
    assert ids(chats, "molecules") == ["chinese"]
    chats.delete_branch(ME, "chinese", "a")
    chats.delete_branch(ME, "chinese", "q")
    assert ids(chats, "molecules") == ids(chats, "瑞利") == ids(chats, "or they") == []
    chats.restore_branch(ME, "chinese", "q")
    assert ids(chats, "瑞利") == ids(chats, "or they") == ["chinese"]
    assert ids(chats, "molecules") == []
    chats.restore_branch(ME, "chinese", "a")
    assert ids(chats, "molecules") == ["chinese"]
    # Many that match are given as many as are asked for.
    tree = Tree(tuple(Node(f"n{n}", None, "user", "common word") for n in range(450)))
    for name in ("one", "two", "three"):
        chats.add(ME, SavedConversation(name, tree=tree))
    assert ids(chats, "common") == ["three", "two", "one"]
    assert [h.conversation.id for h in chats.search(ME, "common", limit=2)] == ["three", "two"]


def test_an_excerpt_shows_the_place(store: Store) -> None:
    text = "one\ntwo " * 50 + "here is the Needle itself, " + "and more " * 50
    store.add(ME, SavedConversation("x", tree=Tree((Node("q", None, "user", text),))))
    (hit,) = store.search(ME, "needle")
    assert "Needle itself" in hit.excerpt and len(hit.excerpt) < 170
    assert hit.excerpt.startswith("…") and hit.excerpt.endswith("…") and "\n" not in hit.excerpt


@given(st.text(max_size=40), st.text(max_size=10))
def test_any_piece_of_a_text_finds_it_by_words(before: str, piece: str) -> None:
    """Between blanks, at least: the words of a piece are among those of the whole, in order."""
    inside = f" {join_words(f'{before} {piece} x')} "
    for parts, _ in phrases(piece):
        assert f" {' '.join(parts)} " in inside
    assert all(" " not in word and word for word in words(before))


def test_a_replaced_title_is_one(store: Store) -> None:
    info = store.create(ME)
    for title in ("alpha", "beta", "alpha"):
        store.rename(ME, info.id, title)
    assert len(store.search(ME, "alpha")) == 1 and store.search(ME, "beta") == ()
