"""Which token ids of a turn a model may be given, where another model may have written them."""

from dataclasses import replace

from glasschat.backends import Backend
from glasschat.chat.branching import check_text
from glasschat.chat.node import Node
from glasschat.errors import EngineError, InvalidMessage


def _is_only_writer(backend: Backend, node: Node) -> bool:
    """Return whether the model that `backend` has now wrote all of that reply."""
    now = backend.describe().provenance.model_fingerprint
    return bool(now and node.runs) and all(r.origin.model_fingerprint == now for r in node.runs)


def is_last_writer(backend: Backend, node: Node) -> bool:
    """Return whether the model of `backend` wrote the last run of a reply.

    Of another server only the model's name is known.
    """
    if not node.runs:
        return False
    description, origin = backend.describe(), node.runs[-1].origin
    if origin.model_fingerprint:
        return origin.model_fingerprint == description.provenance.model_fingerprint
    return not description.provenance.model_fingerprint and origin.model == description.name


def without_foreign_ids(backend: Backend, node: Node) -> Node:
    """Return the turn without its ids where they mean something else to the model of `backend`.

    The text alone goes to the model then. Two models of one vocabulary, such as two
    quantisations, read each other's ids.
    """
    try:
        check_ids(backend, node)
    except (InvalidMessage, EngineError):
        return replace(node, ids=None)
    return node


def check_ids(backend: Backend, node: Node) -> None:
    """Check that the ids of a turn mean to the model of `backend` what its text says.

    Raises InvalidMessage where they do not, EngineError where the backend knows no tokens.
    """
    if node.ids is not None and not _is_only_writer(backend, node):
        check_text(node, backend.text_of(node.ids))
