"""The two models of a comparison."""

from dataclasses import dataclass

from glasschat.doctor.formatting import plural
from glasschat.doctor.opened_model import OpenedModel


@dataclass(frozen=True, slots=True)
class ModelPair:
    """The model that is examined, and the reference that it is compared with."""

    model: OpenedModel
    reference: OpenedModel

    @property
    def common_vocab_size(self) -> int:
        """Return the number of ids that both have."""
        return min(self.model.tokenizer.vocab_size, self.reference.tokenizer.vocab_size)

    @property
    def has_weights(self) -> bool:
        """Return whether both have weights, so that they can be run."""
        return bool(self.model.metadata.tensors and self.reference.metadata.tensors)

    @property
    def names(self) -> tuple[str, str]:
        """Return names that tell the two apart."""
        model, reference = self.model.metadata, self.reference.metadata
        if model.kind != reference.kind:
            return f"the {model.kind}", f"the {reference.kind}"
        if model.storage != reference.storage:
            return model.storage, reference.storage
        return "the model", "the other"


def count_of(count: int, of: int, what: str) -> str:
    """Return a count out of a total, such as `3 of 12 texts`."""
    return f"{count:,} of {plural(of, what)}"
