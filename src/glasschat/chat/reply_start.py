"""How a reply of a conversation is started: what the model reads, and what is noted of the run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from glasschat.backends import Backend
from glasschat.chat.node import Node, Origin, Run, new_id, now_ms
from glasschat.chat.saved import SavedConversation, Settings
from glasschat.chat.token_reuse import without_foreign_ids
from glasschat.chat.tree import Tree
from glasschat.engine import DEFAULT_START, Reply, StartOptions
from glasschat.errors import InvalidMessage
from glasschat.prompt import ChatMessage, ContextPolicy
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class StartedReply:
    """A reply as a turn, the settings that asked for it, and the handle of what writes it."""

    node: Node
    settings: Settings
    reply: Reply


def messages_for(backend: Backend, path: Sequence[Node]) -> list[ChatMessage]:
    """Return what the model of `backend` is given for these turns."""
    return [without_foreign_ids(backend, node).message() for node in path]


def system_messages(system: str) -> list[ChatMessage]:
    """Return the system prompt as the model is given it: no message, or one."""
    return [ChatMessage("system", system)] if system.strip() else []


def new_run(backend: Backend, params: SamplingParams) -> Run:
    """Return a run that `backend` is about to write, with its settings as they will be used."""
    description = backend.describe()
    provenance = description.provenance
    origin = Origin(
        description.name,
        provenance.model_fingerprint,
        provenance.template_fingerprint,
        provenance.versions,
    )
    return Run(backend.settle(params), origin, created=now_ms())


def start_reply(
    backend: Backend,
    tree: Tree,
    node: Node,
    settings: Settings,
    start_options: StartOptions = DEFAULT_START,
) -> StartedReply:
    """Have the reply `node` of `tree` written, whose last run `new_run` made.

    One that has text or ids already goes on behind them. Nothing but the engine is changed.
    Raises PromptError, ParameterError or EngineError.
    """
    path = tree.path_to(node.id if node.text or node.ids else node.parent or "")
    messages = [*system_messages(settings.system), *messages_for(backend, path)]
    run = node.runs[-1]
    reply = backend.start(messages, run.params, policy=settings.policy, start_options=start_options)
    # Known from the start, so that a reply that a crash cuts off has its seed too.
    run = replace(run, seed=reply.snapshot().seed)
    # Another server tells no ids: then the text alone goes back to the model.
    ids = None if reply.message().ids is None else node.ids
    node = replace(node, ids=ids, runs=(*node.runs[:-1], run))
    return StartedReply(node, settings, reply)


def start_siblings(
    tree: Tree, question: Node, variants: Sequence[tuple[Backend, Settings]]
) -> tuple[Tree, list[StartedReply]]:
    """Start a reply to `question` by each variant; if one cannot start, the others are cancelled.

    The system prompt of all is that of the first. Returns the tree with the replies, in order.
    """
    started: list[StartedReply] = []
    try:
        for backend, settings in variants:
            run = new_run(backend, settings.params)
            tree = tree.reply(question.id, new_id(), run, created=now_ms())
            node = tree.last
            assert node is not None
            settings = replace(settings, system=variants[0][1].system)
            started.append(start_reply(backend, tree, node, settings))
    except BaseException:
        for one in started:
            one.reply.cancel()
        raise
    return tree, started


def score_reply(
    backend: Backend, saved: SavedConversation, node_id: str, params: SamplingParams
) -> Reply:
    """Have a model read a finished reply, token by token, as if it wrote it itself.

    The handle's records say how likely each token was to it. Nothing of it is kept. Raises
    InvalidMessage where its tokens are not known or mean something else to that model.
    """
    node = without_foreign_ids(backend, saved.tree[node_id])
    if not node.ids:
        raise InvalidMessage("this model cannot read the tokens of that reply")
    params = replace(params, max_new_tokens=len(node.ids), stop=(), stop_token_ids=())
    path = saved.tree.path_to(node.parent or "")
    return backend.start(
        [*system_messages(saved.system), *messages_for(backend, path)],
        params,
        policy=ContextPolicy.LEAVE_OUT_OLDEST,
        start_options=StartOptions(forced=node.ids),
    )
