"""Run two models over the same ids, and measure how far apart their predictions are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from glasschat.config import ModelOptions
from glasschat.doctor.against.pair import Pair
from glasschat.doctor.against.scoring import (
    Passage,
    Recording,
    log_softmax,
    record,
    steps_for,
    walk,
)
from glasschat.doctor.case import Case
from glasschat.doctor.probes import PASSAGES, QUESTIONS
from glasschat.errors import InvalidMessage
from glasschat.models.base import Logits, ModelRunner
from glasschat.models.load import load_model, plan_model
from glasschat.prompt import decode, encode_content, user

# Some 280 places in all: three seconds for 135M parameters, minutes for 8B without a GPU.
GIVEN, FOLLOWED, REPLY = 4, 40, 32
SMALLEST_CONTEXT = 256
FLOOR = -1000.0

Say = Callable[[str], None]
Step = Callable[[], None]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Parting:
    """Where a greedy reply of the model leaves that of the reference.

    `lead` is by how much more probable the reference found its own token.
    """

    text: str
    place: int
    reference: int
    model: int
    lead: float


@dataclass(slots=True)
class Distance:
    """What was measured, at each place: the KL divergence from the reference in nats, and whether
    both find the same token likeliest. `worst` is the text of the largest divergence.
    """

    kl: list[float] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    replies: int = 0
    partings: list[Parting] = field(default_factory=list)
    worst: str = ""


def measure(pair: Pair, say: Say) -> Distance:
    """Load the reference, then the model, never both at once. Both must have one vocabulary.

    Raises GlasschatError when one cannot be loaded or run, NotNumbersError.
    """
    passages = passages_for(pair.reference)
    width = pair.common_vocabulary
    recordings = _with_runner(
        pair.reference, passages, say, lambda runner, step: record(runner, passages, width, step)
    )
    return _with_runner(
        pair.model, passages, say, lambda runner, step: compare(runner, recordings, width, step)
    )


def compare(
    runner: ModelRunner, recordings: Sequence[Recording], width: int, step: Step
) -> Distance:
    """Let the model of `runner` read what was recorded, and measure at every place."""
    found = Distance(replies=sum(r.passage.follow is None for r in recordings))
    parted: set[int] = set()
    largest = -1.0

    def visit(text: int, place: int, logits: Logits) -> int:
        nonlocal largest
        recording = recordings[text]
        theirs = recording.rows[place].astype(np.float64)
        ours = log_softmax(logits[:width]).astype(np.float64)
        # What one of the two cannot say at all has no logarithm: a floor keeps it a number.
        lost = np.maximum(theirs, FLOOR) - np.maximum(ours, FLOOR)
        kl = max(0.0, float((np.exp(theirs) * lost).sum()))
        a, b = int(theirs.argmax()), int(ours.argmax())
        found.kl.append(kl)
        found.same.append(a == b)
        if kl > largest:
            largest, found.worst = kl, recording.passage.text
        if a != b and recording.passage.follow is None and text not in parted:
            parted.add(text)
            lead = float(np.exp(theirs[a]) - np.exp(theirs[b]))
            found.partings.append(Parting(recording.passage.text, place, a, b, lead))
        return recording.ids[place]

    walk(runner, [recording.passage for recording in recordings], visit, step)
    return found


def passages_for(case: Case) -> list[Passage]:
    """Texts to follow, and questions (without a template, beginnings) to go on from."""
    tokenizer = case.tokenizer
    begin = [tokenizer.bos_id] if tokenizer.bos_id is not None and tokenizer.adds_bos else []
    found = []
    opened: dict[str, tuple[int, ...]] = {}
    for text in PASSAGES:
        try:
            ids = (*begin, *encode_content(tokenizer, text))
        except InvalidMessage:
            # A small vocabulary may not have the characters of every language.
            continue
        follow = ids[GIVEN : GIVEN + FOLLOWED]
        if follow:
            found.append(Passage(text, ids[:GIVEN], follow, len(follow)))
        if case.template is None and len(opened) < len(QUESTIONS):
            start = ids[: 3 * GIVEN]
            opened[decode(tokenizer, start)] = start
    if case.template is not None:
        opened = {text: case.template.encode([user(text)]).ids for text in QUESTIONS}
    return found + [Passage(text, ids, None, REPLY) for text, ids in opened.items()]


def _with_runner(
    case: Case, passages: Sequence[Passage], say: Say, use: Callable[[ModelRunner, Step], Result]
) -> Result:
    """Load the model for so many texts, use it, give it back."""
    longest = max(len(passage.given) + passage.length for passage in passages)
    context = max(SMALLEST_CONTEXT, longest)
    options = ModelOptions(path=case.facts.path, slots=len(passages), context=context)
    say(f"loading {case.facts.path.name}")
    model = load_model(plan_model(options))
    total, done = steps_for(passages), 0

    def step() -> None:
        nonlocal done
        done += 1
        if done * 4 // total > (done - 1) * 4 // total:
            say(f"{case.facts.path.name} has read {done * 100 // total}% of the texts")

    try:
        return use(model.runner, step)
    finally:
        model.runner.close()
