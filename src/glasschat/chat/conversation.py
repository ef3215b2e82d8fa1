"""A conversation that is open in this process, shared by all pages that show it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from glasschat.backends import Backend
from glasschat.chat.branching import check_place, check_text, runs_before, seed_at
from glasschat.chat.context_use import ContextUse, context_use
from glasschat.chat.live_tree import LiveTree
from glasschat.chat.node import Node, new_id, now_ms
from glasschat.chat.reply_start import (
    new_run,
    start_reply,
    start_siblings,
)
from glasschat.chat.saved import ConversationInfo, SavedConversation, Settings
from glasschat.chat.store.outbox import Outbox
from glasschat.chat.token_reuse import check_ids
from glasschat.chat.tree import Tree
from glasschat.engine import DEFAULT_START, Reply, StartOptions
from glasschat.errors import EngineError, ParameterError
from glasschat.glass import RemoteTrace, Trace
from glasschat.messages import Message

MOST_AT_ONCE = 4
"""Replies of one conversation that may be in progress at once."""


class Conversation:
    """Asks backends for replies and changes the tree of turns; `live` has its state.

    Settings and a user turn are stored with the reply that they asked for. A method that starts a
    reply returns its handle, raises PromptError, ParameterError or EngineError, and then leaves
    the conversation as it was. `start_options` says which tokens of the reply are taken by hand,
    and whether it starts paused. Safe to use from any thread.
    """

    def __init__(self, live: LiveTree) -> None:
        self.live = live

    # --- looking --------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The conversation's unguessable id, which is part of its address."""
        return self.live.id

    @property
    def owner(self) -> str:
        """Return the owner of the conversation, the user that it belongs to."""
        return self.live.owner

    @property
    def outbox(self) -> Outbox:
        """The changes on their way to the store."""
        return self.live.outbox

    @property
    def saved(self) -> SavedConversation:
        """The conversation as it is now; of a reply in progress what was there at its start."""
        return self.live.saved

    @property
    def tree(self) -> Tree:
        """Return the tree of the conversation's turns."""
        return self.live.tree

    @property
    def running(self) -> Mapping[str, Reply]:
        """The replies in progress in this process, by the ids of their turns."""
        return self.live.running

    @property
    def last_reply(self) -> Reply | None:
        """The reply in progress at the end of the open path, if there is one."""
        return self.live.last_reply

    @property
    def info(self) -> ConversationInfo:
        """The conversation's line of the list."""
        return self.live.info

    def traces(self, node_id: str) -> tuple[Trace | None, ...]:
        """Return how the tokens of a reply were chosen, one trace for each of its runs.

        None where nothing is kept. Raises StoreError, InvalidMessage for a turn that is not here.
        """
        return self.live.traces(node_id)

    def remote_traces(self, node_id: str) -> tuple[RemoteTrace | None, ...]:
        """Return what another server told of a reply's tokens, one trace for each of its runs.

        None for a run that was written here. Raises as `traces` does.
        """
        return self.live.remote_traces(node_id)

    def stop(self) -> None:
        """End the replies in progress; what there is of them stays."""
        self.live.stop()

    def context_use(self, backend: Backend, settings: Settings) -> ContextUse:
        """Return what the open path takes of the context: of the reply in progress, or the next.

        Raises PromptError and EngineError as `ask` does, but for a prompt that is too long.
        """
        return context_use(backend, self.saved, settings, self.last_reply)

    # --- asking ---------------------------------------------------------------------------

    def ask(
        self,
        backend: Backend,
        text: str,
        settings: Settings,
        *,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Add a user turn at the end of the open path and start its reply."""
        with self.live.changing():
            self._refuse_while_running()
            tree = self.tree.ask(new_id(), text, created=now_ms())
            return self._answer_new(backend, tree, settings, start_options)

    def edit(
        self,
        backend: Backend,
        node_id: str,
        text: str,
        settings: Settings,
        *,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Ask in other words: add a sibling of the user turn and start its reply."""
        with self.live.changing():
            self._refuse_while_running()
            tree = self.tree.edit(node_id, new_id(), text, created=now_ms())
            return self._answer_new(backend, tree, settings, start_options)

    def regenerate(
        self,
        backend: Backend,
        node_id: str,
        settings: Settings,
        *,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Answer the user turn of a reply anew: start a sibling of the reply."""
        with self.live.changing():
            self._refuse_while_running()
            tree, question = self._open_question(node_id)
            return self._answer(backend, tree, question, settings, start_options)

    def go_on(
        self,
        backend: Backend,
        node_id: str,
        settings: Settings,
        *,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Continue a reply that was cut."""
        with self.live.changing():
            self._refuse_while_running()
            tree = self.tree.select(node_id)
            # Where tokens are not known the text goes on.
            with suppress(EngineError):
                check_ids(backend, tree[node_id])
            tree = tree.go_on(node_id, new_run(backend, settings.params))
            started = start_reply(backend, tree, tree[node_id], settings, start_options)
            self.live.add_replies(tree, [started])
            return started.reply

    def branch(
        self,
        backend: Backend,
        node_id: str,
        place: int,
        settings: Settings,
        *,
        token_id: int | None = None,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Leave a reply at its token number `place`, from 0, for another: start a sibling of it.

        It has the same ids up to there and then `token_id`, or one that `settings` choose. Their
        draws are those of the run that wrote that token, unless `settings` have a seed, so that
        nothing differs but what was asked for. The place may be that of the token which ended
        the reply. The reply itself stays, and goes on where it is in progress.
        """
        with self.live.changing():
            self._refuse_more_at_once(1)
            source = self.live.reply_so_far(node_id)
            check_place(source, place)
            ids = (source.ids or ())[:place]
            text = backend.text_of(ids)
            check_text(source, text)
            params = settings.params
            if params.seed is None:
                params = replace(params, seed=seed_at(source, place))
            run = replace(new_run(backend, params), first_token=place)
            runs = (*runs_before(source, place), run)
            node = Node(new_id(), source.parent, "assistant", text, ids, now_ms(), runs)
            tree = self.tree.add(node)
            if token_id is not None:
                start_options = replace(start_options, forced=(token_id, *start_options.forced))
            started = start_reply(backend, tree, node, settings, start_options)
            self.live.add_replies(tree, [started], branch_of=node_id)
            return started.reply

    def compare(
        self, node_id: str, variants: Sequence[tuple[Backend, Settings]]
    ) -> tuple[tuple[str, Reply], ...]:
        """Answer a user turn, or that of a reply, 2 to 4 times at once, each by its variant.

        The replies, each with its turn's id, are siblings in that order, and the first one is
        open. The system prompt is that of the first settings, and they are what the conversation
        has from now on. If one reply cannot start, none is left behind.
        """
        if not 2 <= len(variants) <= MOST_AT_ONCE:
            raise ParameterError(
                "settings",
                Message("2 to {most_at_once} to compare", most_at_once=MOST_AT_ONCE),
                len(variants),
            )
        with self.live.changing():
            self._refuse_more_at_once(len(variants))
            tree, question = self._open_question(node_id)
            tree, started = start_siblings(tree, question, variants)
            self.live.add_replies(tree, started)
            self._open(started[0].node.id)
            return tuple((one.node.id, one.reply) for one in started)

    # --- other changes --------------------------------------------------------------------

    def select(self, node_id: str) -> None:
        """Lead the open path through that turn. Raises InvalidMessage."""
        with self.live.changing():
            self._open(node_id)

    def delete_branch(self, node_id: str) -> None:
        """Hide a turn and what is below it, and stop the replies in progress among that."""
        with self.live.changing():
            for running_id, reply in self.running.items():
                if node_id in {node.id for node in self.tree.path_to(running_id)}:
                    reply.cancel()
            self.live.update(
                lambda store, _: store.delete_branch(self.owner, self.id, node_id),
                tree=self.tree.delete(node_id),
            )

    def restore_branch(self, node_id: str) -> None:
        """Show a deleted branch again."""
        with self.live.changing():
            self.live.update(
                lambda store, _: store.restore_branch(self.owner, self.id, node_id),
                tree=self.tree.restore(node_id),
            )

    def rename(self, title: str) -> None:
        """Give the conversation another title."""
        title = " ".join(title.split())[:200]
        with self.live.changing():
            self.live.update(lambda store, _: store.rename(self.owner, self.id, title), title=title)

    def pin(self, pinned: bool) -> None:
        """Keep the conversation at the head of the list, or no longer."""
        with self.live.changing():
            self.live.update(lambda store, _: store.pin(self.owner, self.id, pinned), pinned=pinned)

    def _answer_new(
        self, backend: Backend, tree: Tree, settings: Settings, start_options: StartOptions
    ) -> Reply:
        """Start a reply to a user turn that was just added at the end of `tree`."""
        question = tree.last
        assert question is not None
        return self._answer(backend, tree, question, settings, start_options, is_new=True)

    def _answer(
        self,
        backend: Backend,
        tree: Tree,
        question: Node,
        settings: Settings,
        start_options: StartOptions,
        *,
        is_new: bool = False,
    ) -> Reply:
        """Start a reply to a user turn; `is_new` says that the store does not have that yet."""
        run = new_run(backend, settings.params)
        tree = tree.reply(question.id, new_id(), run, created=now_ms())
        assert tree.last is not None
        started = start_reply(backend, tree, tree.last, settings, start_options)
        self.live.add_replies(tree, [started], question=question if is_new else None)
        return started.reply

    def _open(self, node_id: str) -> None:
        self.live.update(
            lambda store, _: store.select(self.owner, self.id, node_id),
            tree=self.tree.select(node_id),
        )

    def _open_question(self, node_id: str) -> tuple[Tree, Node]:
        """Return the tree open up to the user turn of that id, or of that reply, and the turn."""
        node = self.tree[node_id]
        question = node if node.role == "user" else self.tree[node.parent or ""]
        return self.tree.select(question.id), question

    def _refuse_while_running(self) -> None:
        last = self.tree.last
        if last is not None and last.in_progress:
            raise EngineError("a reply is still being written: stop it or wait for its end")

    def _refuse_more_at_once(self, more: int) -> None:
        if len(self.running) + more > MOST_AT_ONCE:
            raise EngineError(
                "at most {most_at_once} replies of one chat are written at once: stop one or "
                "wait for its end",
                most_at_once=MOST_AT_ONCE,
            )
