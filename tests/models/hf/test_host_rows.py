"""Rows come to the host as they were, in memory that is used again."""

import numpy as np
import pytest
import torch

from glasschat.models.base import ForwardRow
from glasschat.models.hf.runner import HostRows
from tests.support.hf_families import TOLERANCE, VOCAB, ours, stock

WIDTH = 50


def rows_of(count: int, dtype: torch.dtype = torch.float32, width: int = WIDTH) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(count)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [WIDTH, WIDTH + 14], ids=["exact", "padded"])
def test_rows_are_what_they_were(dtype: torch.dtype, width: int) -> None:
    logits = rows_of(3, dtype, width)
    fetched = HostRows(WIDTH, pinned=False).fetch(logits)
    assert fetched.dtype == np.float32
    assert (fetched == logits[:, :WIDTH].to(torch.float32).numpy()).all()


def test_memory_is_used_again_and_grows_with_the_batch() -> None:
    host = HostRows(WIDTH, pinned=False)
    first = host.fetch(rows_of(4))
    assert np.shares_memory(host.fetch(rows_of(2)), first)
    assert not np.shares_memory(more := host.fetch(rows_of(5)), first)
    assert (more == rows_of(5).numpy()).all()
    assert host.fetch(rows_of(0)).shape == (0, WIDTH)


def test_numbers_that_are_none_come_through() -> None:
    """It is by these that a broken reply is known."""
    logits = rows_of(2)
    logits[0, 3], logits[1, 4] = torch.nan, torch.inf
    fetched = HostRows(WIDTH, pinned=False).fetch(logits)
    assert np.isnan(fetched[0, 3]) and fetched[1, 4] == np.inf


def test_without_pinned_memory_rows_come_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = torch.empty
    asked: list[bool] = []

    def scarce(*shape: object, pin_memory: bool = False, **options: object) -> torch.Tensor:
        asked.append(pin_memory)
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory")
        return empty(*shape, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(torch, "empty", scarce)
    host = HostRows(WIDTH)
    for count in (2, 3):
        assert (host.fetch(rows_of(count)) == rows_of(count).numpy()).all()
    assert asked == [True, False, False]


def test_a_runner_that_fetches_gives_the_same_rows() -> None:
    """On a CPU it need not; a GPU is not everywhere."""
    model = stock("llama")
    runner, plain = ours(model), ours(model)
    runner._host_rows = HostRows(VOCAB, pinned=False)
    rows = [ForwardRow(0, 0, [5, 6, 8], True), ForwardRow(1, 0, [5, 9], True)]
    fetched = runner.forward(rows)
    assert np.abs(fetched - plain.forward(rows)).max() < TOLERANCE
    kept = fetched.copy()
    runner.forward([ForwardRow(0, 3, [4], True)])
    assert (fetched[1] == kept[1]).all() and (fetched[0] != kept[0]).any()
