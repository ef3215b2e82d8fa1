"""torch's exceptions as the errors that a user sees."""

import gc
from typing import Any

from glasschat.errors import GlasschatError, InvalidModel, NotEnoughMemory, ReplyFailed
from glasschat.messages import Message
from glasschat.models.hf.library import torch

# What torch says when memory is short, beside the error that it has for it.
_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cublas_status_alloc_failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory was short, in any of the ways in which torch says it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in _OUT_OF_MEMORY
    )


def release_memory(device: Any) -> None:
    """Free the memory that no tensor uses any more."""
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()


def first_error_line(error: BaseException) -> str:
    """Return the error's class and the first line of its message; torch adds pages."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def one_line_error(error: BaseException) -> str:
    """Return the error's class and the start of its message, where later lines tell more."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def reply_failure(error: Exception, device: torch.device) -> ReplyFailed:
    """Return the error for a forward that failed."""
    if is_out_of_memory(error):
        return ReplyFailed(
            "{type} ran out of memory: ask again with a shorter prompt, or start with fewer "
            "--slots or a smaller --context",
            type=device.type,
        )
    if isinstance(error, GlasschatError):
        return ReplyFailed(error.message)
    return ReplyFailed("the model failed ({error}): ask again", error=first_error_line(error))


def start_failure(
    error: Exception, kind: str, device: torch.device, slots: int, context: int
) -> GlasschatError:
    """Return the error for a model of the class `kind` that cannot be served."""
    if is_out_of_memory(error):
        return NotEnoughMemory(
            "{type} has no room for {slots} slots of {context:,} tokens beside the weights: "
            "{advice}",
            type=device.type,
            slots=slots,
            context=context,
            advice=Message("choose fewer --slots or a smaller --context"),
        )
    if isinstance(error, GlasschatError):
        return error
    return InvalidModel(
        "{kind} does not run in slots of glasschat ({error}): {advice}",
        kind=kind,
        error=first_error_line(error),
        advice=Message("choose another model"),
    )
