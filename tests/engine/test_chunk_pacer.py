"""How long a running reply waits for somebody else's prompt."""

import pytest

from glasschat.engine.scheduler import ChunkPacer


@pytest.mark.parametrize("tokens_per_s", [20, 200, 400, 5000])
def test_a_chunk_beside_others_takes_about_a_tenth_of_a_second(tokens_per_s: int) -> None:
    pacer = ChunkPacer()
    for _ in range(30):
        chunk = pacer.chunk_size(alone=False)
        pacer.record_step(chunk, chunk / tokens_per_s)
    chunk = pacer.chunk_size(alone=False)
    assert chunk / tokens_per_s <= 0.11 or chunk == ChunkPacer.MIN_TOKENS
    assert pacer.chunk_size(alone=True) >= chunk


def test_exact_mode_always_takes_the_same_chunk() -> None:
    """Another chunk is another batch, and another batch may be other logits in the last bit."""
    pacer = ChunkPacer(128)
    pacer.record_step(128, 0.001)
    assert pacer.chunk_size(alone=True) == pacer.chunk_size(alone=False) == 128
