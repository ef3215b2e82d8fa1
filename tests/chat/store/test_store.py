"""What is put into the store comes out of it, for its owner and for nobody else."""

import itertools
from dataclasses import replace

import pytest

from glasschat.chat.node import Ending, Node, Origin, Run, new_id, now_ms
from glasschat.chat.saved import SavedConversation
from glasschat.chat.store import Store, open_store
from glasschat.chat.tree import Tree
from glasschat.engine import Timings, Usage
from glasschat.errors import ConversationNotFound, InvalidMessage, StoreConflict
from glasschat.sampling import SamplingParams
from tests.chat.store.conftest import ME, asked, running


def test_what_was_stored_is_read_again(store: Store) -> None:
    conversation, tree = asked(store, "why?", "and then?")
    assert store.load(ME, conversation).tree == tree


def test_every_operation_of_the_tree_is_kept(store: Store) -> None:
    """The page works on the tree and tells the store: afterwards both are the same."""
    conversation, tree = asked(store, "one", "two")
    first, reply, second, _ = tree.path
    tree = tree.edit(second.id, "second-anew", "zwei")
    store.add_turn(ME, conversation, tree["second-anew"])
    assert store.load(ME, conversation).tree == tree
    tree = tree.select(second.id)
    store.select(ME, conversation, second.id)
    assert store.load(ME, conversation).tree == tree
    tree = tree.delete(reply.id)
    store.delete_branch(ME, conversation, reply.id)
    assert store.load(ME, conversation).tree == tree
    assert store.load(ME, conversation).tree.path == (first,)
    tree = tree.restore(reply.id)
    store.restore_branch(ME, conversation, reply.id)
    assert store.load(ME, conversation).tree == tree


def test_a_whole_conversation_is_kept_to_the_last_figure(store: Store) -> None:
    run = Run(
        SamplingParams(logit_bias={7: float("-inf"), 9: 0.1}, stop=("\n\n",), seed=2**64 - 1),
        Origin("a model", "f" * 64, "e" * 64, {"glasschat": "0.1.0"}),
        created=1,
        ending=Ending.ERROR,
        error="it broke \x00 here",
        seed=2**64 - 1,
        usage=Usage(10, 5, 3),
        timings=Timings(0.1, 1 / 3, None),
    )
    first = Node("a", None, "user", "NUL \x00, \uf8f0, 🌊 and 天空", created=5)
    reply = Node("b", "a", "assistant", "ok", (0, 1, 2**32 - 1), 6, (run, replace(run, seed=1)))
    other = Node("c", "a", "assistant", "deleted", None, 7, (run,), deleted=True)
    kept = SavedConversation(
        "an-id", "a title", True, 1, 2, "be brief", SamplingParams(top_k=3),
        Tree((first, reply, other), {None: "a", "a": "c"}),
    )  # fmt: skip
    store.add(ME, kept)
    assert store.load(ME, "an-id") == kept
    again = store.add("somebody else", kept)
    assert again.id != "an-id"
    assert store.load("somebody else", again.id) == replace(kept, id=again.id)


def test_nobody_reaches_another_ones_conversation(store: Store) -> None:
    conversation, tree = asked(store, "a secret")
    turn = tree.path[0].id
    node = Node(new_id(), None, "user", "mine now")
    attempts = [
        lambda: store.load("you", conversation),
        lambda: store.info("you", conversation),
        lambda: store.rename("you", conversation, "mine now"),
        lambda: store.delete("you", conversation),
        lambda: store.add_turn("you", conversation, node),
        lambda: store.select("you", conversation, turn),
        lambda: store.delete_branch("you", conversation, turn),
        lambda: store.begin_reply("you", conversation, node),
    ]
    for attempt in attempts:
        with pytest.raises(ConversationNotFound):
            attempt()
    assert store.conversations("you").items == ()
    assert store.search("you", "secret") == ()
    assert store.load(ME, conversation).tree == tree


def test_a_turn_that_is_gone_is_a_conflict_and_not_a_crash(store: Store) -> None:
    conversation, _ = asked(store, "one")
    for attempt in (
        lambda: store.select(ME, conversation, "gone"),
        lambda: store.delete_branch(ME, conversation, "gone"),
        lambda: store.add_turn(ME, conversation, Node("x", "gone", "assistant", "hello")),
    ):
        with pytest.raises(StoreConflict, match="load the chat again"):
            attempt()


def test_the_title_is_of_the_first_turn_until_somebody_gives_another(store: Store) -> None:
    conversation, _ = asked(store, "  Why is the sky\nblue?", "and the sea?")
    assert store.info(ME, conversation).title == "Why is the sky"
    store.rename(ME, conversation, "Colours\n of things")
    assert store.info(ME, conversation).title == "Colours of things"


def test_the_list_comes_in_pages_pinned_first_then_the_newest(url: str) -> None:
    store = open_store(url)
    clock = itertools.count(1000)
    # Two of each time: the pages must neither repeat nor leave out one of equals.
    store._clock = lambda: next(clock) // 4
    ids = [store.create(ME).id for _ in range(11)]
    store.pin(ME, ids[2])
    store.pin(ME, ids[5])
    store.delete(ME, ids[7])
    expected = [ids[5], ids[2], *(i for i in reversed(ids) if i not in (ids[2], ids[5], ids[7]))]
    seen, after = [], None
    while True:
        page = store.conversations(ME, 3, after)
        seen += [item.id for item in page.items]
        if (after := page.more) is None:
            break
    assert seen == expected
    assert [item.id for item in store.conversations(ME, deleted=True).items] == [ids[7]]
    store.close()


def test_a_conversation_that_goes_on_rises_to_the_head(store: Store) -> None:
    (older, tree), (newer, _) = asked(store, "one"), asked(store, "two")
    store._clock = lambda: now_ms() + 10
    store.add_turn(ME, older, Node(new_id(), tree.path[-1].id, "user", "more"))
    assert [item.id for item in store.conversations(ME).items] == [older, newer]


def test_deleted_ones_come_back_until_they_are_cleared_up(store: Store) -> None:
    (kept, tree), (gone, _) = asked(store, "rain"), asked(store, "snow")
    for conversation in (kept, gone):
        store.delete(ME, conversation)
    assert store.conversations(ME).items == () and store.search(ME, "rain") == ()
    store.restore(ME, kept)
    assert store.load(ME, kept).tree == tree
    assert store.clear_up(now_ms() + 1) == 1
    with pytest.raises(ConversationNotFound):
        store.load(ME, gone)
    assert store.search(ME, "snow") == () and len(store.search(ME, "rain")) == 1


def test_clearing_up_takes_deleted_branches_for_good(store: Store) -> None:
    conversation, tree = asked(store, "one")
    tree = tree.edit(tree.path[0].id, "other", "eins")
    store.add_turn(ME, conversation, tree["other"])
    store.delete_branch(ME, conversation, "other")
    store.clear_up(now_ms() + 1)
    left = store.load(ME, conversation).tree
    assert "other" not in left and left.path == tree.delete("other").path


def test_every_change_is_seen_in_the_revision(store: Store) -> None:
    conversation, tree = asked(store, "one")
    seen = [store.info(ME, conversation).revision]
    for change in (
        lambda: store.pin(ME, conversation),
        lambda: store.set_system(ME, conversation, "be brief"),
        lambda: store.set_params(ME, conversation, SamplingParams(top_k=5)),
        lambda: store.select(ME, conversation, tree.path[0].id),
        lambda: store.begin_reply(
            ME, conversation, tree.reply(tree.path[0].id, "r", running())["r"]
        ),
    ):
        change()
        seen.append(store.info(ME, conversation).revision)
    assert seen == sorted(set(seen))
    kept = store.load(ME, conversation)
    assert (kept.system, kept.params) == ("be brief", SamplingParams(top_k=5))


def test_half_a_character_never_reaches_the_database(store: Store) -> None:
    conversation = store.create(ME).id
    with pytest.raises(InvalidMessage, match="surrogate"):
        store.set_system(ME, conversation, "be \ud800")
    store.rename(ME, conversation, "to be \ud800")
    assert store.info(ME, conversation).title == "to be ?"
