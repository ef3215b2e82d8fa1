"""How large a chunk of a prompt one step takes."""

EXACT_CHUNK = 128
"""Tokens of a prompt in each chunk of an exact engine."""


class ChunkPacer:
    """Sizes prefill chunks by time, from the speed that was measured.

    While others decode, a chunk is their delay, so it is kept short. Alone, it only bounds how
    long a cancel waits and how often progress shows. A fixed size (exact mode) makes the same
    prompt take the same steps every time.
    """

    BESIDE_OTHERS_S = 0.1
    ALONE_S = 0.5
    SMALLEST = 16
    LARGEST = 512

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._tokens_per_s = 320.0

    def chunk(self, *, alone: bool) -> int:
        """The most prompt tokens that the next step may compute."""
        if self._fixed is not None:
            return self._fixed
        wanted = self._tokens_per_s * (self.ALONE_S if alone else self.BESIDE_OTHERS_S)
        return max(self.SMALLEST, min(self.LARGEST, int(wanted)))

    def measured(self, prompt_tokens: int, seconds: float) -> None:
        """Learn from a step that computed `prompt_tokens` of prompts in `seconds`."""
        if prompt_tokens >= self.SMALLEST and seconds > 0:
            self._tokens_per_s += 0.3 * (prompt_tokens / seconds - self._tokens_per_s)
