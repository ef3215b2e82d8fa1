"""What a comparison looks at."""

from dataclasses import dataclass

from glasschat.doctor.case import Case
from glasschat.doctor.words import plural


@dataclass(frozen=True, slots=True)
class Pair:
    """The model that is examined, and the one that it is held against: the reference."""

    model: Case
    reference: Case

    @property
    def common_vocabulary(self) -> int:
        """How many ids both have."""
        return min(self.model.tokenizer.vocab_size, self.reference.tokenizer.vocab_size)

    @property
    def has_weights(self) -> bool:
        """Whether both can be run at all."""
        return bool(self.model.facts.tensors and self.reference.facts.tensors)

    @property
    def names(self) -> tuple[str, str]:
        """What to call the two, so that they can be told apart."""
        model, reference = self.model.facts, self.reference.facts
        if model.kind != reference.kind:
            return f"the {model.kind}", f"the {reference.kind}"
        if model.storage != reference.storage:
            return model.storage, reference.storage
        return "the model", "the other"


def differ(count: int, of: int, what: str) -> str:
    """`3 of 12 texts`."""
    return f"{count:,} of {plural(of, what)}"
