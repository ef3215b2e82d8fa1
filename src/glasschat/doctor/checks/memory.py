"""Whether the model fits into this machine."""

from collections.abc import Iterator

from glasschat.config import DEFAULT_CONTEXT, DEFAULT_SLOTS, ModelOptions
from glasschat.doctor.facts import Facts
from glasschat.doctor.finding import Finding, failed, passed, warned
from glasschat.doctor.words import parted, size
from glasschat.errors import ModelError
from glasschat.models.hf.load import HfPlan
from glasschat.models.hf.memory import hf_memory_need
from glasschat.models.load import LoadPlan, plan_model
from glasschat.models.memory import MemoryNeed, available_bytes, memory_need


def memory(facts: Facts) -> Iterator[Finding]:
    """What weights and cache need against what is there, with the settings that would fit."""
    if facts.unsupported:
        # It would not be loaded, and that has been said.
        return
    try:
        plan = plan_model(ModelOptions(path=facts.path))
    except ModelError as error:
        yield failed("memory", *parted(str(error), "free memory, or choose a smaller model"))
        return
    if not isinstance(plan, HfPlan) and plan.gpu_layers:
        yield passed(
            "memory", "layers go to the GPU, whose memory llama.cpp counts when it loads them"
        )
        return
    need = _need(plan)
    said = (
        f"needs {size(need.total)} of the {size(need.available)} that are free"
        f"{need.place and f' on {need.place}'}: {size(need.weights)} weights"
        f"{f' in {plan.dtype}' if isinstance(plan, HfPlan) else ''}, {size(need.cache)} cache for "
        f"{plan.slots} x {plan.context:,} tokens"
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


def _need(plan: LoadPlan) -> MemoryNeed:
    if isinstance(plan, HfPlan):
        return hf_memory_need(
            plan.folder,
            context=plan.context,
            slots=plan.slots,
            device=plan.device,
            dtype=plan.dtype,
        )
    return memory_need(plan.header, plan.context, plan.slots, available_bytes())
