"""How long a context and how many slots a model gets."""

from collections.abc import Callable
from dataclasses import replace

from glasschat.config import DEFAULT_CONTEXT, DEFAULT_SLOTS, ModelOptions
from glasschat.errors import ContextTooLong
from glasschat.models.memory import MemoryNeed, check_memory

SMALLEST_CONTEXT = 512


def settle_sizes(
    options: ModelOptions,
    name: str,
    train_context: int,
    need: Callable[[int, int], MemoryNeed | None],
) -> tuple[int, int, int]:
    """Context and slots: what was asked for, or what suits the model and fits.

    The third is what the machine's memory will have to hold, in bytes. `need` is told context and
    slots; None is as much as there is. Raises ContextTooLong for more than the model was made
    for, NotEnoughMemory with settings that would fit.
    """
    context = options.context or min(DEFAULT_CONTEXT, train_context or DEFAULT_CONTEXT)
    if train_context and context > train_context:
        raise ContextTooLong(
            f"--context {context:,} is more than the {train_context:,} tokens that "
            f"{name} was made for: ask for at most {train_context:,}"
        )
    slots = 1 if options.exact else options.slots or DEFAULT_SLOTS

    def needed() -> MemoryNeed | None:
        found = need(context, slots)
        if found is None or found.place:
            return found
        return replace(found, available=max(0, found.available - options.reserved))

    def fits() -> bool:
        found = needed()
        return found is None or found.fits

    # What nobody asked for gives way before the user is bothered.
    while options.slots is None and slots > 1 and not fits():
        slots //= 2
    while options.context is None and context > SMALLEST_CONTEXT and not fits():
        context //= 2
    found = needed()
    if found is None:
        return context, slots, 0
    check_memory(found, name)
    return context, slots, 0 if found.place else found.total
