"""A conversation that is open in this process, shared by all pages that show it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from glasschat.backends import Backend
from glasschat.chat.branching import check_place, check_text, runs_before, seed_at
from glasschat.chat.node import Node, new_id, now_ms
from glasschat.chat.settings import Settings
from glasschat.chat.starting import (
    MOST_AT_ONCE,
    Started,
    Starting,
    messages_for,
    system_messages,
)
from glasschat.chat.token_reuse import as_read_by, check_ids
from glasschat.engine import AT_ONCE, Beginning, Reply
from glasschat.errors import EngineError, InvalidMessage, ParameterError, PromptTooLong
from glasschat.prompt import ChatMessage, ContextPolicy
from glasschat.sampling import SamplingParams


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
    it was. `beginning` says what of the reply is taken by hand, and whether it starts paused.
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
        self, backend: Backend, text: str, settings: Settings, *, beginning: Beginning = AT_ONCE
    ) -> Reply:
        """Send a user turn behind the open path and begin its reply."""
        with self._changing():
            self._refuse_while_running()
            tree = self.tree.ask(new_id(), text, created=now_ms())
            return self._reply(backend, tree, settings, beginning)

    def edit(
        self,
        backend: Backend,
        node_id: str,
        text: str,
        settings: Settings,
        *,
        beginning: Beginning = AT_ONCE,
    ) -> Reply:
        """Ask in other words: a sibling of the user turn, and its reply."""
        with self._changing():
            self._refuse_while_running()
            tree = self.tree.edit(node_id, new_id(), text, created=now_ms())
            return self._reply(backend, tree, settings, beginning)

    def regenerate(
        self, backend: Backend, node_id: str, settings: Settings, *, beginning: Beginning = AT_ONCE
    ) -> Reply:
        """Answer the user turn of that reply anew: a sibling of the reply."""
        with self._changing():
            self._refuse_while_running()
            tree, asked = self._asked(node_id)
            return self._reply(backend, tree, settings, beginning, to=asked)

    def go_on(
        self, backend: Backend, node_id: str, settings: Settings, *, beginning: Beginning = AT_ONCE
    ) -> Reply:
        """Continue a reply that was cut."""
        with self._changing():
            self._refuse_while_running()
            tree = self.tree.select(node_id)
            # Where tokens are not known its text goes on.
            with suppress(EngineError):
                check_ids(backend, tree[node_id])
            tree = tree.go_on(node_id, self._run(backend, settings.params))
            started = self._start(backend, tree, tree[node_id], settings, beginning)
            return self._let_grow(tree, started)

    def branch(
        self,
        backend: Backend,
        node_id: str,
        place: int,
        settings: Settings,
        *,
        token_id: int | None = None,
        beginning: Beginning = AT_ONCE,
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
                beginning = replace(beginning, forced=(token_id, *beginning.forced))
            started = self._start(backend, tree, reply, settings, beginning)
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
            self.keeper.keep(lambda store, _: store.select(self.owner, self.id, first))
            return tuple((s.reply.id, s.generation) for s in started)

    def reread(self, backend: Backend, node_id: str, params: SamplingParams) -> Reply:
        """Have a model read a finished reply, token by token, as if it wrote it itself.

        The handle's records say how likely each token was to it. Nothing of it is kept. Raises
        InvalidMessage where its tokens are not known or mean something else to that model.
        """
        node = as_read_by(backend, self.tree[node_id])
        if not node.ids:
            raise InvalidMessage("this model cannot read the tokens of that reply")
        whole = replace(params, max_new_tokens=len(node.ids), stop=(), stop_token_ids=())
        above = messages_for(backend, self.tree.path_to(node.parent or ""))
        return backend.start(
            [*system_messages(self.saved.system), *above],
            whole,
            policy=ContextPolicy.LEAVE_OUT_OLDEST,
            beginning=Beginning(forced=node.ids),
        )
