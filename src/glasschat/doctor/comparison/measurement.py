"""Runs two models over the same ids, and measures how far apart their predictions are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from glasschat.config import ModelOptions
from glasschat.doctor.comparison.pair import ModelPair
from glasschat.doctor.comparison.scoring import (
    Passage,
    Recording,
    count_steps,
    log_softmax,
    record,
    run_passages,
)
from glasschat.doctor.opened_model import OpenedModel
from glasschat.doctor.probes import PASSAGES, QUESTIONS
from glasschat.errors import InvalidMessage
from glasschat.models.base import Logits, ModelRunner
from glasschat.models.load import load_model, plan_model
from glasschat.prompt import decode, encode_content, user

# Some 280 places in all: three seconds for 135M parameters, minutes for 8B without a GPU.
GIVEN, FOLLOWED, REPLY = 4, 40, 32
SMALLEST_CONTEXT = 256
FLOOR = -1000.0

Progress = Callable[[str], None]
Step = Callable[[], None]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class DivergentReply:
    """The place where a greedy reply of the model leaves that of the reference.

    `lead` is by how much more probable the reference found its own token.
    """

    text: str
    place: int
    reference: int
    model: int
    lead: float


@dataclass(slots=True)
class Distance:
    """Measurements over all places.

    `kl` is the KL divergence from the reference in nats, `same` whether both find the same token
    likeliest. `worst` is the text with the largest divergence.
    """

    kl: list[float] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    replies: int = 0
    divergent_replies: list[DivergentReply] = field(default_factory=list)
    worst: str = ""


def measure(pair: ModelPair, progress: Progress) -> Distance:
    """Load the reference, then the model, never both at once. Both must have one vocabulary.

    Raises GlasschatError if one cannot be loaded or run, and NonFiniteLogits.
    """
    passages = build_passages(pair.reference)
    width = pair.common_vocab_size
    recordings = _with_runner(
        pair.reference,
        passages,
        progress,
        lambda runner, step: record(runner, passages, width, step),
    )
    return _with_runner(
        pair.model,
        passages,
        progress,
        lambda runner, step: compare(runner, recordings, width, step),
    )


def compare(
    runner: ModelRunner, recordings: Sequence[Recording], width: int, step: Step
) -> Distance:
    """Let a model read what the reference has read, and measure at every place.

    Only the first `width` ids of a row count: those that both models have.
    """
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
            found.divergent_replies.append(
                DivergentReply(recording.passage.text, place, a, b, lead)
            )
        return recording.ids[place]

    run_passages(runner, [recording.passage for recording in recordings], visit, step)
    return found


def build_passages(subject: OpenedModel) -> list[Passage]:
    """Return the texts for a comparison.

    They are passages to follow, and questions whose greedy replies are compared. Without a chat
    template these are beginnings of texts.
    """
    tokenizer = subject.tokenizer
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
        if subject.template is None and len(opened) < len(QUESTIONS):
            start = ids[: 3 * GIVEN]
            opened[decode(tokenizer, start)] = start
    if subject.template is not None:
        opened = {text: subject.template.encode([user(text)]).ids for text in QUESTIONS}
    return found + [Passage(text, ids, None, REPLY) for text, ids in opened.items()]


def _with_runner(
    subject: OpenedModel,
    passages: Sequence[Passage],
    progress: Progress,
    use: Callable[[ModelRunner, Step], Result],
) -> Result:
    """Load a model with a slot for each passage, call `use` with it, and close it."""
    longest = max(len(passage.given) + passage.length for passage in passages)
    context = max(SMALLEST_CONTEXT, longest)
    options = ModelOptions(path=subject.metadata.path, slots=len(passages), context=context)
    progress(f"loading {subject.metadata.path.name}")
    model = load_model(plan_model(options))
    total, done = count_steps(passages), 0

    def step() -> None:
        nonlocal done
        done += 1
        if done * 4 // total > (done - 1) * 4 // total:
            progress(f"{subject.metadata.path.name} has read {done * 100 // total}% of the texts")

    try:
        return use(model.runner, step)
    finally:
        model.runner.close()
