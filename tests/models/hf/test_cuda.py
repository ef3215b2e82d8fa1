"""What only a GPU can show: real graphs, flash attention, memory that is given back."""

from typing import Any

import pytest
import torch

from glasschat.models.base import ForwardRow
from glasschat.models.hf import flash
from glasschat.models.hf.runner import HfRunner
from tests.support.hf_families import CONTEXT, Conversations, converse, ours, stock

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

# float32 on a card adds in another order than on a CPU.
TOLERANCE = 1e-3


def on_cuda(kind: str, **options: Any) -> HfRunner:
    return ours(stock(kind).to("cuda"), device="cuda", **options)


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("kind", ["llama", "mistral", "gemma2", "gemma3_text", "mixtral", "gpt2"])
def test_batches_on_a_gpu_equal_each_sequence_on_the_cpu(kind: str, graphs: bool) -> None:
    runner = on_cuda(kind, graphs=graphs)
    conversations = Conversations(stock(kind), runner)
    converse(conversations)
    assert conversations.worst < TOLERANCE
    if graphs:
        assert runner._graphs is not None
        assert runner._graphs.buckets


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("width", [64, 128])
def test_flash_attention_equals_the_portable_one(dtype: torch.dtype, width: int) -> None:
    assert flash.measure_difference(dtype, torch.device("cuda"), width) < 0.05


def test_flash_attention_in_graphs_equals_a_plain_forward() -> None:
    """In bfloat16, so within what it rounds."""
    model = stock("llama", hidden_size=64).to("cuda", torch.bfloat16)
    runner = HfRunner(model, slots=4, context=CONTEXT, device="cuda")
    assert runner._flash
    ids = list(range(3, 40))
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        given = torch.tensor([ids], device="cuda")
        expected = model(input_ids=given, use_cache=False).logits[0].float().cpu()
    model.set_attn_implementation("glasschat_slots")
    runner.forward([ForwardRow(2, 0, ids[:30], False)])
    for position in range(30, len(ids)):
        row = runner.forward([ForwardRow(2, position, [ids[position]], True)])[0]
        assert (torch.from_numpy(row) - expected[position]).abs().max() < 0.1 * expected.std()


def test_closing_gives_the_cards_memory_back() -> None:
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    runner = on_cuda("llama")
    runner.forward([ForwardRow(0, 0, [5, 6], True)])
    runner.forward([ForwardRow(0, 2, [5], True)])
    assert torch.cuda.memory_reserved() > before
    runner.close()
    assert torch.cuda.memory_allocated() == 0
    assert torch.cuda.memory_reserved() <= before + 2 * 2**20


def test_rows_come_to_the_host_through_memory_that_stays() -> None:
    runner = on_cuda("llama")
    first = runner.forward([ForwardRow(0, 0, [5, 6], True), ForwardRow(1, 0, [7], True)])
    assert runner._host_rows is not None
    held = runner._host_rows._rows
    assert held is not None and held.is_pinned()
    assert runner.forward([ForwardRow(0, 2, [5], True)]).ctypes.data == first.ctypes.data
