"""A conversation that is open in this process, shared by all pages that show it."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from glasschat.backends import Backend
from glasschat.chat.growing import grown
from glasschat.chat.keeper import Keeper
from glasschat.chat.node import Node, Origin, Run, new_id
from glasschat.chat.saved import ConversationInfo, SavedConversation
from glasschat.chat.settings import Settings
from glasschat.chat.store import ReplyWriter, Store
from glasschat.chat.tree import Tree, titled
from glasschat.engine import Generation
from glasschat.errors import ConversationNotFound, EngineError, PromptTooLong
from glasschat.prompt import ChatMessage


def now_ms() -> int:
    """Now, in milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class ContextUse:
    """Tokens of the context that a conversation takes, and its turns that are left out, by id."""

    used: int
    left_out: frozenset[str]


def system_messages(system: str) -> list[ChatMessage]:
    """The system prompt as the model is given it: none, or one message."""
    return [ChatMessage("system", system)] if system.strip() else []


class Conversation:
    """The tree of a conversation, and its replies on their way. Safe to use from any thread.

    What changes is kept in the store at once, the settings and a user turn with the reply that
    they asked for. A method that starts a reply raises PromptError, ParameterError or EngineError,
    and then leaves the conversation as it was.
    """

    def __init__(
        self,
        owner: str,
        keeper: Keeper,
        saved: SavedConversation | None = None,
        *,
        revision: int = 0,
    ) -> None:
        self.owner = owner
        self.keeper = keeper
        self.watched_at = time.monotonic()
        self._lock = threading.RLock()
        self._new = saved is None
        self._saved = saved or SavedConversation(created=now_ms(), updated=now_ms())
        self._growing: dict[str, Generation] = {}
        self._unkept: set[str] = set()
        self._stop_unwatched: set[str] = set()
        self.revision = revision

    # --- looking --------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Unguessable, and part of its address."""
        return self._saved.id

    @property
    def saved(self) -> SavedConversation:
        """All of it as it is now; of a reply on its way what was there when it began."""
        with self._lock:
            self._settle()
            return self._saved

    @property
    def tree(self) -> Tree:
        """Its turns."""
        return self.saved.tree

    @property
    def growing(self) -> Mapping[str, Generation]:
        """The replies on their way in this process, by the ids of their turns."""
        with self._lock:
            self._settle()
            return dict(self._growing)

    @property
    def generation(self) -> Generation | None:
        """The reply on its way at the end of the open path."""
        last = self.tree.last
        return self._growing.get(last.id) if last else None

    @property
    def whole(self) -> SavedConversation:
        """As `saved`, with replies on their way as far as they have come: for an export."""
        with self._lock:
            tree = self.tree
            for node_id, generation in self._growing.items():
                tree = tree.put(grown(tree[node_id], generation))
            return replace(self._saved, tree=tree)

    @property
    def info(self) -> ConversationInfo:
        """Its line of the list."""
        saved = self.saved
        return ConversationInfo(
            saved.id, saved.title, saved.pinned, saved.created, saved.updated, None, self.revision
        )

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

    def watched(self) -> None:
        """Somebody is looking: a reply that ends with its last watcher may go on."""
        self.watched_at = time.monotonic()

    # --- replies --------------------------------------------------------------------------

    def ask(self, backend: Backend, text: str, settings: Settings) -> Generation:
        """Send a user turn behind the open path and begin its reply."""
        with self._lock:
            self._refuse_while_running()
            tree = self.tree.ask(new_id(), text, created=now_ms())
            return self._reply(backend, tree, settings)

    def edit(self, backend: Backend, node_id: str, text: str, settings: Settings) -> Generation:
        """Ask in other words: a sibling of the user turn, and its reply."""
        with self._lock:
            self._refuse_while_running()
            tree = self.tree.edit(node_id, new_id(), text, created=now_ms())
            return self._reply(backend, tree, settings)

    def regenerate(self, backend: Backend, node_id: str, settings: Settings) -> Generation:
        """Answer the user turn of that reply anew: a sibling of the reply."""
        with self._lock:
            self._refuse_while_running()
            node = self.tree[node_id]
            asked = node if node.role == "user" else self.tree[node.parent or ""]
            return self._reply(backend, self.tree.select(asked.id), settings, to=asked)

    def go_on(self, backend: Backend, node_id: str, settings: Settings) -> Generation:
        """Continue a reply that was cut."""
        with self._lock:
            self._refuse_while_running()
            tree = self.tree.select(node_id).go_on(node_id, self._run(backend, settings))
            return self._start(backend, tree, tree[node_id], settings, asked=None)

    def stop(self) -> None:
        """End the replies on their way and keep what is there of them."""
        for generation in self.growing.values():
            generation.cancel()

    def stop_unwatched(self, before: float) -> None:
        """Stop what was to end with its last watcher, if nobody has looked since `before`."""
        with self._lock:
            if self.watched_at < before:
                for node_id in self._stop_unwatched & self._growing.keys():
                    self._growing[node_id].cancel()

    # --- other changes --------------------------------------------------------------------

    def select(self, node_id: str) -> None:
        """Lead the open path through that turn. Raises InvalidMessage."""
        self._change(self.tree.select(node_id))
        self.keeper.keep(lambda store, _: store.select(self.owner, self.id, node_id))

    def delete_branch(self, node_id: str) -> None:
        """Hide a turn and what is below it, replies on their way included."""
        with self._lock:
            for grown_id, generation in self._growing.items():
                if node_id in {node.id for node in self.tree.path_to(grown_id)}:
                    generation.cancel()
            self._change(self.tree.delete(node_id))
        self.keeper.keep(lambda store, _: store.delete_branch(self.owner, self.id, node_id))

    def restore_branch(self, node_id: str) -> None:
        """Undo `delete_branch`."""
        self._change(self.tree.restore(node_id))
        self.keeper.keep(lambda store, _: store.restore_branch(self.owner, self.id, node_id))

    def rename(self, title: str) -> None:
        """Give it another title."""
        with self._lock:
            self._saved = replace(self._saved, title=" ".join(title.split())[:200])
            title = self._saved.title
        self.keeper.keep(lambda store, _: store.rename(self.owner, self.id, title))

    def pin(self, pinned: bool) -> None:
        """Keep it at the head of the list, or no longer."""
        with self._lock:
            self._saved = replace(self._saved, pinned=pinned)
        self.keeper.keep(lambda store, _: store.pin(self.owner, self.id, pinned))

    def refresh(self, store: Store, writer: ReplyWriter) -> None:
        """Take in what another process has changed since. Raises StoreError."""
        with self._lock:
            self._settle()
            known = self._new or self.keeper.waiting or bool(self._growing)
            self._unkept = {g for g in self._unkept if writer.follows(g)}
            if known or self._unkept:
                return
            info = store.info(self.owner, self.id)
            if info.deleted is not None:
                raise ConversationNotFound("this chat was deleted elsewhere")
            left = any(node.growing for node in self._saved.tree.nodes)
            if info.revision != self.revision or left:
                self._saved = store.load(self.owner, self.id)
                self.revision = info.revision

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

    def _change(self, tree: Tree) -> None:
        with self._lock:
            self._saved = replace(self._saved, tree=tree)

    def _settle(self) -> None:
        """Once a reply has ended, keep its text and figures and let its handle go."""
        for node_id, generation in list(self._growing.items()):
            if generation.finished:
                node = grown(self._saved.tree[node_id], generation)
                self._change(self._saved.tree.put(node))
                del self._growing[node_id]
                self._stop_unwatched.discard(node_id)
