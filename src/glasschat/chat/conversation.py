"""A conversation that is open in this process, shared by all pages that show it."""

from dataclasses import dataclass, replace
from functools import partial

from glasschat.backends import Backend
from glasschat.chat.node import Node, Origin, Run, new_id, now_ms
from glasschat.chat.open_tree import OpenTree
from glasschat.chat.settings import Settings
from glasschat.chat.store import ReplyWriter, Store
from glasschat.chat.tree import Tree, titled
from glasschat.engine import Generation
from glasschat.errors import EngineError, PromptTooLong
from glasschat.prompt import ChatMessage


@dataclass(frozen=True, slots=True)
class ContextUse:
    """Tokens of the context that a conversation takes, and its turns that are left out, by id."""

    used: int
    left_out: frozenset[str]


def system_messages(system: str) -> list[ChatMessage]:
    """The system prompt as the model is given it: none, or one message."""
    return [ChatMessage("system", system)] if system.strip() else []


class Conversation(OpenTree):
    """Asks a backend for replies and lets them grow into the tree.

    Settings and a user turn are kept with the reply that they asked for. A method that starts a
    reply raises PromptError, ParameterError or EngineError, and then leaves the conversation as
    it was.
    """

    def context_use(self, backend: Backend, settings: Settings) -> ContextUse:
        """What the open path takes of the context: of the reply on its way, or of the next.

        Raises PromptError and EngineError as `ask` does, but for a prompt that is too long.
        """
        path, generation = self.tree.path, self.generation
        head = system_messages(self.saved.system if generation else settings.system)
        if generation is not None:
            usage = generation.snapshot().usage
            used, dropped = (
                usage.prompt_tokens + usage.completion_tokens,
                generation.prompt.left_out,
            )
        else:
            # What comes next is a question: what would be left out for it is not read any more.
            messages = [*head, *(node.message() for node in path), ChatMessage("user", "")]
            try:
                encoding = backend.fit(messages, settings.params, settings.policy)
                used, dropped = len(encoding.ids), encoding.left_out
            except PromptTooLong as error:
                used, dropped = error.needed, ()
        return ContextUse(used, frozenset(path[i - len(head)].id for i in dropped))

    def ask(self, backend: Backend, text: str, settings: Settings) -> Generation:
        """Send a user turn behind the open path and begin its reply."""
        with self._changing():
            self._refuse_while_running()
            tree = self.tree.ask(new_id(), text, created=now_ms())
            return self._reply(backend, tree, settings)

    def edit(self, backend: Backend, node_id: str, text: str, settings: Settings) -> Generation:
        """Ask in other words: a sibling of the user turn, and its reply."""
        with self._changing():
            self._refuse_while_running()
            tree = self.tree.edit(node_id, new_id(), text, created=now_ms())
            return self._reply(backend, tree, settings)

    def regenerate(self, backend: Backend, node_id: str, settings: Settings) -> Generation:
        """Answer the user turn of that reply anew: a sibling of the reply."""
        with self._changing():
            self._refuse_while_running()
            node = self.tree[node_id]
            asked = node if node.role == "user" else self.tree[node.parent or ""]
            return self._reply(backend, self.tree.select(asked.id), settings, to=asked)

    def go_on(self, backend: Backend, node_id: str, settings: Settings) -> Generation:
        """Continue a reply that was cut."""
        with self._changing():
            self._refuse_while_running()
            tree = self.tree.select(node_id).go_on(node_id, self._run(backend, settings))
            return self._start(backend, tree, tree[node_id], settings, asked=None)

    # --- how ------------------------------------------------------------------------------

    def _refuse_while_running(self) -> None:
        last = self.tree.last
        if last is not None and last.growing:
            raise EngineError("a reply is still being written: stop it or wait for its end")

    def _run(self, backend: Backend, settings: Settings) -> Run:
        about = backend.describe()
        told = about.provenance
        origin = Origin(
            about.name, told.model_fingerprint, told.template_fingerprint, told.versions
        )
        return Run(settings.params, origin, created=now_ms())

    def _reply(
        self, backend: Backend, tree: Tree, settings: Settings, *, to: Node | None = None
    ) -> Generation:
        asked = to or tree.last
        assert asked is not None
        tree = tree.reply(asked.id, new_id(), self._run(backend, settings), created=now_ms())
        assert tree.last is not None
        return self._start(backend, tree, tree.last, settings, asked=None if to else asked)

    def _start(
        self, backend: Backend, tree: Tree, reply: Node, settings: Settings, *, asked: Node | None
    ) -> Generation:
        """Start the engine first: what it refuses is never stored."""
        above = tree.messages(reply.id if reply.text or reply.ids else reply.parent or "")
        messages = [*system_messages(settings.system), *above]
        generation = backend.start(messages, settings.params, policy=settings.policy)
        before, new = self._saved, self._new
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
        self._growing[reply.id] = generation
        self._unkept.add(generation.id)
        if settings.stop_unwatched:
            self._stop_unwatched.add(reply.id)
        self.watched()

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
        self.keeper.keep(partial(self._begin, reply, asked, generation))
        return generation

    def _begin(
        self,
        reply: Node,
        asked: Node | None,
        generation: Generation,
        store: Store,
        writer: ReplyWriter,
    ) -> None:
        if len(reply.runs) > 1:
            # The run before may have ended a moment ago.
            writer.flush()
        writer.follow(store.begin_reply(self.owner, self.id, reply, asked=asked), generation)
