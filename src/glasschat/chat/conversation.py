"""A conversation that is open in this process, shared by all pages that show it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from glasschat.backends import Backend
from glasschat.chat.branching import check_place, check_text, runs_before, seed_at
from glasschat.chat.live_tree import OpenTree
from glasschat.chat.node import Node, Origin, Run, new_id, now_ms
from glasschat.chat.partial_reply import ended, merge_progress
from glasschat.chat.saved import Settings
from glasschat.chat.store import ReplyWriter, Store
from glasschat.chat.token_reuse import check_ids, without_foreign_ids
from glasschat.chat.tree import Tree, titled
from glasschat.engine import DEFAULT_START, Reply, StartOptions
from glasschat.errors import EngineError, InvalidMessage, ParameterError, PromptTooLong
from glasschat.prompt import ChatMessage, ContextPolicy
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
    return [without_foreign_ids(backend, node).message() for node in path]


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
        node = merge_progress(node, generation)
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
        start_options: StartOptions,
        *,
        to: Node | None = None,
    ) -> Reply:
        asked = to or tree.last
        assert asked is not None
        run = self._run(backend, settings.params)
        tree = tree.reply(asked.id, new_id(), run, created=now_ms())
        assert tree.last is not None
        started = self._start(backend, tree, tree.last, settings, start_options)
        return self._let_grow(tree, started, asked=None if to else asked)

    def _start(
        self,
        backend: Backend,
        tree: Tree,
        reply: Node,
        settings: Settings,
        start_options: StartOptions = DEFAULT_START,
    ) -> Started:
        """Have a reply of `tree` written: what the engine refuses has changed nothing here."""
        above = tree.path_to(reply.id if reply.text or reply.ids else reply.parent or "")
        messages = [*system_messages(settings.system), *messages_for(backend, above)]
        run = reply.runs[-1]
        generation = backend.start(
            messages, run.params, policy=settings.policy, start_options=start_options
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
            self.outbox.enqueue(lambda store, _: store.add(self.owner, empty))
        elif (settings.system, settings.params) != (before.system, before.params):
            self.outbox.enqueue(
                lambda store, _: store.set_system(self.owner, self.id, settings.system)
            )
            self.outbox.enqueue(
                lambda store, _: store.set_params(self.owner, self.id, settings.params)
            )
        for one in started:
            self.outbox.enqueue(partial(self._begin, one, asked, like))
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


@dataclass(frozen=True, slots=True)
class ContextUse:
    """Tokens of the context that a conversation takes, and its turns that are left out, by id.

    `estimated` says that nobody has counted them.
    """

    used: int
    left_out: frozenset[str]
    estimated: bool = False


class Conversation(Starting):
    """Asks a backend for replies and lets them grow into the tree.

    Settings and a user turn are kept with the reply that they asked for. A method that starts a
    reply raises PromptError, ParameterError or EngineError, and then leaves the conversation as
    it was. `start_options` says what of the reply is taken by hand, and whether it starts paused.
    """

    def context_use(self, backend: Backend, settings: Settings) -> ContextUse:
        """What the open path takes of the context: of the reply on its way, or of the next.

        Raises PromptError and EngineError as `ask` does, but for a prompt that is too long.
        """
        path, generation, estimated = self.tree.path, self.generation, False
        head = system_messages(self.saved.system if generation else settings.system)
        if generation is not None:
            usage = generation.snapshot().usage
            used, dropped = (
                usage.prompt_tokens + usage.completion_tokens,
                generation.prompt.left_out,
            )
        else:
            # What comes next is a question: what would be left out for it is not read any more.
            messages = [*head, *messages_for(backend, path), ChatMessage("user", "")]
            try:
                prompt = backend.fit(messages, settings.params, settings.policy)
                used, dropped, estimated = prompt.tokens, prompt.left_out, not prompt.counted
            except PromptTooLong as error:
                used, dropped = error.needed, ()
        return ContextUse(used, frozenset(path[i - len(head)].id for i in dropped), estimated)

    def ask(
        self,
        backend: Backend,
        text: str,
        settings: Settings,
        *,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Send a user turn behind the open path and begin its reply."""
        with self._changing():
            self._refuse_while_running()
            tree = self.tree.ask(new_id(), text, created=now_ms())
            return self._reply(backend, tree, settings, start_options)

    def edit(
        self,
        backend: Backend,
        node_id: str,
        text: str,
        settings: Settings,
        *,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Ask in other words: a sibling of the user turn, and its reply."""
        with self._changing():
            self._refuse_while_running()
            tree = self.tree.edit(node_id, new_id(), text, created=now_ms())
            return self._reply(backend, tree, settings, start_options)

    def regenerate(
        self,
        backend: Backend,
        node_id: str,
        settings: Settings,
        *,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Answer the user turn of that reply anew: a sibling of the reply."""
        with self._changing():
            self._refuse_while_running()
            tree, asked = self._asked(node_id)
            return self._reply(backend, tree, settings, start_options, to=asked)

    def go_on(
        self,
        backend: Backend,
        node_id: str,
        settings: Settings,
        *,
        start_options: StartOptions = DEFAULT_START,
    ) -> Reply:
        """Continue a reply that was cut."""
        with self._changing():
            self._refuse_while_running()
            tree = self.tree.select(node_id)
            # Where tokens are not known its text goes on.
            with suppress(EngineError):
                check_ids(backend, tree[node_id])
            tree = tree.go_on(node_id, self._run(backend, settings.params))
            started = self._start(backend, tree, tree[node_id], settings, start_options)
            return self._let_grow(tree, started)

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
        """Leave a reply at its token number `place`, from 0, for another: a sibling of the reply.

        It has the same ids up to there and then `token_id`, or one that `settings` choose. Their
        draws are those of the run that wrote that token, unless `settings` have a seed, so that
        nothing differs but what was asked for. The place may be that of the token which ended
        the reply. The reply itself stays, and goes on where it is on its way.
        """
        with self._changing():
            self._refuse_more_than_at_once(1)
            source = self._as_far_as_it_is(node_id)
            check_place(source, place)
            ids = (source.ids or ())[:place]
            text = backend.text_of(ids)
            check_text(source, text)
            params = settings.params
            if params.seed is None:
                params = replace(params, seed=seed_at(source, place))
            run = replace(self._run(backend, params), first_token=place)
            runs = (*runs_before(source, place), run)
            reply = Node(new_id(), source.parent, "assistant", text, ids, now_ms(), runs)
            tree = self.tree.add(reply)
            if token_id is not None:
                start_options = replace(start_options, forced=(token_id, *start_options.forced))
            started = self._start(backend, tree, reply, settings, start_options)
            return self._let_grow(tree, started, like=node_id)

    def compare(
        self, node_id: str, asked: Sequence[tuple[Backend, Settings]]
    ) -> tuple[tuple[str, Reply], ...]:
        """Answer a user turn, or that of a reply, 2 to 4 times at once: by whom, with what.

        The replies, each with its turn's id, are siblings in that order, and the first one is
        open. The system prompt is that of the first settings, and they are what the conversation
        has from now on. If one reply cannot start, none is left behind.
        """
        if not 2 <= len(asked) <= MOST_AT_ONCE:
            raise ParameterError("settings", f"2 to {MOST_AT_ONCE} to compare", len(asked))
        with self._changing():
            self._refuse_more_than_at_once(len(asked))
            tree, question = self._asked(node_id)
            started: list[Started] = []
            try:
                for backend, one in asked:
                    run = self._run(backend, one.params)
                    tree = tree.reply(question.id, new_id(), run, created=now_ms())
                    assert tree.last is not None
                    one = replace(one, system=asked[0][1].system)
                    started.append(self._start(backend, tree, tree.last, one))
            except BaseException:
                for other in started:
                    other.generation.cancel()
                raise
            self._let_grow(tree, *started)
            first = started[0].reply.id
            self._put(self._saved.tree.select(first))
            self.outbox.enqueue(lambda store, _: store.select(self.owner, self.id, first))
            return tuple((s.reply.id, s.generation) for s in started)

    def reread(self, backend: Backend, node_id: str, params: SamplingParams) -> Reply:
        """Have a model read a finished reply, token by token, as if it wrote it itself.

        The handle's records say how likely each token was to it. Nothing of it is kept. Raises
        InvalidMessage where its tokens are not known or mean something else to that model.
        """
        node = without_foreign_ids(backend, self.tree[node_id])
        if not node.ids:
            raise InvalidMessage("this model cannot read the tokens of that reply")
        whole = replace(params, max_new_tokens=len(node.ids), stop=(), stop_token_ids=())
        above = messages_for(backend, self.tree.path_to(node.parent or ""))
        return backend.start(
            [*system_messages(self.saved.system), *above],
            whole,
            policy=ContextPolicy.LEAVE_OUT_OLDEST,
            start_options=StartOptions(forced=node.ids),
        )
