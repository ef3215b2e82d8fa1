"""What there is of a reply on its way, as a turn of the tree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from glasschat.chat.node import Ending, Node, Run
from glasschat.engine import Reply, Snapshot, Token


@dataclass(frozen=True, slots=True)
class ReplyOnItsWay:
    """A turn as it was when its last run began, and that run."""

    node: Node
    generation: Reply

    @property
    def text(self) -> str:
        """The whole text so far."""
        return self.node.text + self.generation.snapshot().text


def merge_progress(node: Node, generation: Reply) -> Node:
    """The turn with what its last run has written so far; with its ending, if it has ended."""
    # First of all: it may end while it is looked at.
    finished = generation.finished
    text, ids = written(generation)
    whole = None if node.ids is None or ids is None else (*node.ids, *ids)
    run = ended(node.runs[-1], generation.snapshot()) if finished else node.runs[-1]
    return replace(node, text=node.text + text, ids=whole, runs=(*node.runs[:-1], run))


def written(generation: Reply) -> tuple[str, tuple[int, ...] | None]:
    """Text and ids that belong together; of an unended reply what has been released."""
    if generation.finished:
        message = generation.message()
        return message.text, message.ids
    return text_and_ids(released_steps(generation, 0))


def text_and_ids(steps: Sequence[Token]) -> tuple[str, tuple[int, ...] | None]:
    """What they say together, and their ids; None where any of them is not known."""
    ids = [step.token_id for step in steps if step.token_id is not None]
    whole = tuple(ids) if len(ids) == len(steps) else None
    return "".join(step.text for step in steps), whole


def released_steps(generation: Reply, start: int) -> list[Token]:
    """The steps from `start` on, up to the last that released text.

    Those behind it wait for theirs: ids and text that are kept belong together.
    """
    steps = list(generation.steps(start))
    while steps and not steps[-1].text:
        steps.pop()
    return steps


def ended(run: Run, snapshot: Snapshot) -> Run:
    """The run with its figures and its ending: `interrupted` if the reply has none of its own."""
    reason = snapshot.finish_reason
    return replace(
        run,
        ending=Ending.INTERRUPTED if reason is None else Ending(reason.value),
        error=snapshot.error,
        seed=snapshot.seed,
        usage=snapshot.usage,
        timings=snapshot.timings,
    )
