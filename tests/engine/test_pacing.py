"""How long a running reply waits for somebody else's prompt."""

import pytest

from glasschat.engine.scheduler import ChunkPacer


@pytest.mark.parametrize("tokens_per_s", [20, 200, 400, 5000])
def test_a_chunk_beside_others_takes_about_a_tenth_of_a_second(tokens_per_s: int) -> None:
    pacer = ChunkPacer()
    for _ in range(30):
        chunk = pacer.chunk(alone=False)
        pacer.measured(chunk, chunk / tokens_per_s)
    chunk = pacer.chunk(alone=False)
    assert chunk / tokens_per_s <= 0.11 or chunk == ChunkPacer.SMALLEST
    assert pacer.chunk(alone=True) >= chunk


def test_exact_mode_always_takes_the_same_chunk() -> None:
    """Another chunk is another batch, and another batch may be other logits in the last bit."""
    pacer = ChunkPacer(128)
    pacer.measured(128, 0.001)
    assert pacer.chunk(alone=True) == pacer.chunk(alone=False) == 128
