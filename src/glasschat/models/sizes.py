"""How long a context and how many slots a model gets."""

from collections.abc import Callable

from glasschat.config import DEFAULT_CONTEXT, DEFAULT_SLOTS, ModelOptions
from glasschat.errors import ContextTooLong
from glasschat.models.memory import MemoryNeed, check_memory

SMALLEST_CONTEXT = 512


def settle_sizes(
    options: ModelOptions,
    name: str,
    train_context: int,
    need: Callable[[int, int], MemoryNeed | None],
) -> tuple[int, int]:
    """Context and slots: what was asked for, or what suits the model and fits.

    `need` is told context and slots; None is as much as there is. Raises ContextTooLong for more
    than the model was made for, NotEnoughMemory with settings that would fit.
    """
    context = options.context or min(DEFAULT_CONTEXT, train_context or DEFAULT_CONTEXT)
    if train_context and context > train_context:
        raise ContextTooLong(
            f"--context {context:,} is more than the {train_context:,} tokens that "
            f"{name} was made for: ask for at most {train_context:,}"
        )
    slots = 1 if options.exact else options.slots or DEFAULT_SLOTS

    def fits() -> bool:
        found = need(context, slots)
        return found is None or found.fits

    # What nobody asked for gives way before the user is bothered.
    while options.slots is None and slots > 1 and not fits():
        slots //= 2
    while options.context is None and context > SMALLEST_CONTEXT and not fits():
        context //= 2
    found = need(context, slots)
    if found is not None:
        check_memory(found, name)
    return context, slots
