"""What a model is given of turns that other models may have written."""

from dataclasses import replace

from glasschat.backends import Backend
from glasschat.chat.branching import check_text
from glasschat.chat.node import Node
from glasschat.errors import EngineError, InvalidMessage


def _wrote(backend: Backend, node: Node) -> bool:
    """Whether the model that `backend` has now wrote all of that reply."""
    now = backend.describe().provenance.model_fingerprint
    return bool(now and node.runs) and all(r.origin.model_fingerprint == now for r in node.runs)


def is_last_writer(backend: Backend, node: Node) -> bool:
    """Whether that model wrote the newest of it, as far as can be told: of another server there
    is only a name.
    """
    if not node.runs:
        return False
    about, origin = backend.describe(), node.runs[-1].origin
    if origin.model_fingerprint:
        return origin.model_fingerprint == about.provenance.model_fingerprint
    return not about.provenance.model_fingerprint and origin.model == about.name


def without_foreign_ids(backend: Backend, node: Node) -> Node:
    """The turn without its ids, where they mean something else to that model: the text counts.

    Two models of one vocabulary, such as two quantisations, read each other's ids.
    """
    try:
        check_ids(backend, node)
    except (InvalidMessage, EngineError):
        return replace(node, ids=None)
    return node


def check_ids(backend: Backend, node: Node) -> None:
    """That the ids of a turn say to that model what its text says.

    Raises InvalidMessage, and EngineError where tokens are not known.
    """
    if node.ids is not None and not _wrote(backend, node):
        check_text(node, backend.text_of(node.ids))
