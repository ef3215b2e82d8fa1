"""What there is of a reply in progress, as a turn of the tree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from glasschat.chat.node import Ending, Node, Run
from glasschat.engine import Reply, Snapshot, Token


@dataclass(frozen=True, slots=True)
class PartialReply:
    """A turn as it was when its last run began, and that run."""

    node: Node
    generation: Reply

    @property
    def text(self) -> str:
        """The whole text so far."""
        return self.node.text + self.generation.snapshot().text


def merge_progress(node: Node, generation: Reply) -> Node:
    """Return the turn with what its last run has written so far, and its ending if it has one."""
    # Asked first: the reply may end while the rest is read.
    finished = generation.finished
    text, ids = released_text_and_ids(generation)
    all_ids = None if node.ids is None or ids is None else (*node.ids, *ids)
    run = end_run(node.runs[-1], generation.snapshot()) if finished else node.runs[-1]
    return replace(node, text=node.text + text, ids=all_ids, runs=(*node.runs[:-1], run))


def released_text_and_ids(generation: Reply) -> tuple[str, tuple[int, ...] | None]:
    """Return text and ids that belong together; of a reply in progress what has been released.

    The ids are None where they are not known.
    """
    if generation.finished:
        message = generation.message()
        return message.text, message.ids
    return text_and_ids(released_steps(generation, 0))


def text_and_ids(steps: Sequence[Token]) -> tuple[str, tuple[int, ...] | None]:
    """Return the text of some tokens and their ids, None where an id is not known."""
    ids = [step.token_id for step in steps if step.token_id is not None]
    known = tuple(ids) if len(ids) == len(steps) else None
    return "".join(step.text for step in steps), known


def released_steps(generation: Reply, start: int) -> list[Token]:
    """Return the tokens from number `start` on, up to the last that released text.

    Those behind it wait for their text: ids and text that are stored belong together.
    """
    steps = list(generation.steps(start))
    while steps and not steps[-1].text:
        steps.pop()
    return steps


def end_run(run: Run, snapshot: Snapshot) -> Run:
    """Return the run with its figures and its ending: `interrupted` if the reply has none yet."""
    reason = snapshot.finish_reason
    return replace(
        run,
        ending=Ending.INTERRUPTED if reason is None else Ending(reason.value),
        error=snapshot.error,
        seed=snapshot.seed,
        usage=snapshot.usage,
        timings=snapshot.timings,
    )
