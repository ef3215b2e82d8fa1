"""Whether the library that runs the model takes it."""

from collections.abc import Iterator

from glasschat.doctor.finding import Finding, failed, passed
from glasschat.doctor.words import parted
from glasschat.models.llama_cpp.preflight import Trial


def loading(trial: Trial) -> Iterator[Finding]:
    """What llama.cpp says of figures and shapes, before it reads a weight."""
    if trial.model:
        yield failed(
            "loading", *parted(trial.model, "get another conversion, from a current converter")
        )
    else:
        yield passed("loading", "llama.cpp takes its figures and the shapes of all its tensors")
