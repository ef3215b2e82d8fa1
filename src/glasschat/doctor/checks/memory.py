"""Check that the model fits into the memory of this machine."""

from collections.abc import Iterator

from glasschat.config import DEFAULT_CONTEXT, DEFAULT_SLOTS, ModelOptions
from glasschat.doctor.finding import Finding, report_failure, report_pass, report_warning
from glasschat.doctor.formatting import format_bytes, split_advice
from glasschat.doctor.metadata import ModelMetadata
from glasschat.errors import ModelError
from glasschat.models.hf.load import HfPlan
from glasschat.models.hf.memory import hf_memory_need
from glasschat.models.load import LoadPlan, plan_model
from glasschat.models.memory import MemoryNeed, available_bytes, memory_need


def memory(metadata: ModelMetadata) -> Iterator[Finding]:
    """Compare the memory for weights and cache with what is free, and name settings that fit."""
    if metadata.unsupported:
        # It would not be loaded, which is reported already.
        return
    try:
        plan = plan_model(ModelOptions(path=metadata.path))
    except ModelError as error:
        yield report_failure(
            "memory", *split_advice(error.message, "free memory, or choose a smaller model")
        )
        return
    if not isinstance(plan, HfPlan) and plan.gpu_layers:
        yield report_pass(
            "memory", "layers go to the GPU, whose memory llama.cpp counts when it loads them"
        )
        return
    need = _need(plan)
    summary = (
        f"needs {format_bytes(need.total)} of the {format_bytes(need.available)} that are free"
        f"{need.place and f' on {need.place}'}: {format_bytes(need.weights)} weights"
        f"{f' in {plan.dtype}' if isinstance(plan, HfPlan) else ''}, "
        f"{format_bytes(need.cache)} cache for {plan.slots} x {plan.context:,} tokens"
    )
    details = {
        "needed": need.total,
        "available": need.available,
        "slots": plan.slots,
        "context": plan.context,
    }
    usual = min(DEFAULT_CONTEXT, metadata.context or DEFAULT_CONTEXT)
    if plan.slots < DEFAULT_SLOTS or plan.context < usual:
        yield report_warning(
            "memory",
            f"{summary}; there is not enough for the usual {DEFAULT_SLOTS} x {usual:,}",
            f"glasschat chooses --slots {plan.slots} --context {plan.context} by itself; free "
            f"memory, or use a smaller quantisation, for more",
            **details,
        )
    else:
        yield report_pass("memory", summary, **details)


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
