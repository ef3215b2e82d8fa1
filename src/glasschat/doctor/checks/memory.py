"""Whether the model fits into this machine."""

from collections.abc import Iterator

from glasschat.config import DEFAULT_CONTEXT, DEFAULT_SLOTS, ModelOptions
from glasschat.doctor.facts import Facts
from glasschat.doctor.finding import Finding, failed, passed, warned
from glasschat.doctor.words import size
from glasschat.errors import ModelError, NotEnoughMemory
from glasschat.models.load import plan_model
from glasschat.models.memory import MemoryNeed, available_bytes


def memory(facts: Facts) -> Iterator[Finding]:
    """What weights and cache need against what is there, with the settings that would fit."""
    try:
        plan = plan_model(ModelOptions(path=facts.path))
    except NotEnoughMemory as error:
        said, _, advice = str(error).rpartition(": ")
        yield failed("memory", said, advice)
        return
    except ModelError:
        # That it cannot be read has been said already.
        return
    need = MemoryNeed(
        weights=facts.weight_bytes,
        per_token=facts.cache_elements * 2,
        vocab_size=facts.embedding_rows,
        context=plan.context,
        slots=plan.slots,
        available=available_bytes(),
    )
    said = (
        f"needs {size(need.total)} of the {size(need.available)} that are free: "
        f"{size(need.weights)} weights, {size(need.cache)} cache for {plan.slots} x "
        f"{plan.context:,} tokens"
    )
    details = {
        "needed": need.total,
        "available": need.available,
        "slots": plan.slots,
        "context": plan.context,
    }
    usual = min(DEFAULT_CONTEXT, facts.context or DEFAULT_CONTEXT)
    if plan.slots < DEFAULT_SLOTS or plan.context < usual:
        yield warned(
            "memory",
            f"{said}; there is not enough for the usual {DEFAULT_SLOTS} x {usual:,}",
            f"glasschat chooses --slots {plan.slots} --context {plan.context} by itself; free "
            f"memory, or use a smaller quantisation, for more",
            **details,
        )
    else:
        yield passed("memory", said, **details)
