"""How a reply comes into an open conversation: the engine first, then the tree, then the store."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from glasschat.backends import Backend
from glasschat.chat.live_tree import OpenTree
from glasschat.chat.node import Node, Origin, Run, new_id, now_ms
from glasschat.chat.partial_reply import ended, grown
from glasschat.chat.settings import Settings
from glasschat.chat.store import ReplyWriter, Store
from glasschat.chat.token_reuse import as_read_by
from glasschat.chat.tree import Tree, titled
from glasschat.engine import AT_ONCE, Beginning, Reply
from glasschat.errors import EngineError
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams

MOST_AT_ONCE = 4
"""Replies of one conversation that may be on their way at once."""


@dataclass(frozen=True, slots=True)
class Started:
    """A reply as a turn, what it was asked for with, and what writes it."""

    reply: Node
    settings: Settings
    generation: Reply


def messages_for(backend: Backend, path: Sequence[Node]) -> list[ChatMessage]:
    """What the model of `backend` is given for those turns."""
    return [as_read_by(backend, node).message() for node in path]


def system_messages(system: str) -> list[ChatMessage]:
    """The system prompt as the model is given it: none, or one message."""
    return [ChatMessage("system", system)] if system.strip() else []


class Starting(OpenTree):
    """What all that starts a reply has in common."""

    def _refuse_while_running(self) -> None:
        last = self.tree.last
        if last is not None and last.growing:
            raise EngineError("a reply is still being written: stop it or wait for its end")

    def _refuse_more_than_at_once(self, more: int) -> None:
        if len(self.growing) + more > MOST_AT_ONCE:
            raise EngineError(
                f"at most {MOST_AT_ONCE} replies of one chat are written at once: stop one or "
                "wait for its end"
            )

    def _asked(self, node_id: str) -> tuple[Tree, Node]:
        """The user turn of that id or of that reply, and the tree open up to it."""
        node = self.tree[node_id]
        asked = node if node.role == "user" else self.tree[node.parent or ""]
        return self.tree.select(asked.id), asked

    def _as_far_as_it_is(self, node_id: str) -> Node:
        """A turn that is visible; of a reply on its way what there is, as if it ended now."""
        node = self.tree.select(node_id)[node_id]
        generation = self._growing.get(node_id)
        if generation is None:
            return node
        snapshot = generation.snapshot()
        node = grown(node, generation)
        return replace(node, runs=(*node.runs[:-1], ended(node.runs[-1], snapshot)))

    def _run(self, backend: Backend, params: SamplingParams) -> Run:
        about = backend.describe()
        told = about.provenance
        origin = Origin(
            about.name, told.model_fingerprint, told.template_fingerprint, told.versions
        )
        return Run(backend.settle(params), origin, created=now_ms())

    def _reply(
        self,
        backend: Backend,
        tree: Tree,
        settings: Settings,
        beginning: Beginning,
        *,
        to: Node | None = None,
    ) -> Reply:
        asked = to or tree.last
        assert asked is not None
        run = self._run(backend, settings.params)
        tree = tree.reply(asked.id, new_id(), run, created=now_ms())
        assert tree.last is not None
        started = self._start(backend, tree, tree.last, settings, beginning)
        return self._let_grow(tree, started, asked=None if to else asked)

    def _start(
        self,
        backend: Backend,
        tree: Tree,
        reply: Node,
        settings: Settings,
        beginning: Beginning = AT_ONCE,
    ) -> Started:
        """Have a reply of `tree` written: what the engine refuses has changed nothing here."""
        above = tree.path_to(reply.id if reply.text or reply.ids else reply.parent or "")
        messages = [*system_messages(settings.system), *messages_for(backend, above)]
        run = reply.runs[-1]
        generation = backend.start(
            messages, run.params, policy=settings.policy, beginning=beginning
        )
        # Known from the start, so that a reply that a crash cuts off has its seed too.
        run = replace(run, seed=generation.snapshot().seed)
        # Another server tells no ids: then the text alone goes back to the model.
        ids = None if generation.message().ids is None else reply.ids
        reply = replace(reply, ids=ids, runs=(*reply.runs[:-1], run))
        return Started(reply, settings, generation)

    def _let_grow(
        self, tree: Tree, *started: Started, asked: Node | None = None, like: str | None = None
    ) -> Reply:
        """Put what was started into the conversation, in its order, with the turn that asked.

        The settings of the first are the conversation's. `like` is the reply that they branch
        off. The handle of the first comes back.
        """
        settings = started[0].settings
        before, new = self._saved, self._new
        for one in started:
            tree = tree.put(one.reply)
            self._growing[one.reply.id] = one.generation
            self._unkept.add(one.generation.id)
            if one.settings.stop_unwatched:
                self._stop_unwatched.add(one.reply.id)
        title = before.title or titled(node.text for node in tree.nodes if node.role == "user")
        self._saved = replace(
            before,
            tree=tree,
            title=title,
            system=settings.system,
            params=settings.params,
            updated=now_ms(),
        )
        self._new = False
        self.watched()
        if like is not None:
            if like in self._growing:
                self._shelf.grown(self.id, tree[like], self._growing[like])
            for one in started:
                self._shelf.copy(self.id, like, one.reply)

        # One by one: what has been kept is not tried again with what could not be.
        if new:
            empty = replace(self._saved, tree=Tree(), title="")
            self.keeper.keep(lambda store, _: store.add(self.owner, empty))
        elif (settings.system, settings.params) != (before.system, before.params):
            self.keeper.keep(
                lambda store, _: store.set_system(self.owner, self.id, settings.system)
            )
            self.keeper.keep(
                lambda store, _: store.set_params(self.owner, self.id, settings.params)
            )
        for one in started:
            self.keeper.keep(partial(self._begin, one, asked, like))
        return started[0].generation

    def _begin(
        self,
        started: Started,
        asked: Node | None,
        like: str | None,
        store: Store,
        writer: ReplyWriter,
    ) -> None:
        reply = started.reply
        if len(reply.runs) > 1:
            # The run before, or the reply that this one begins like, may have ended a moment ago.
            writer.flush()
        stored = store.begin_reply(self.owner, self.id, reply, asked=asked, like=like)
        writer.follow(stored, started.generation)
