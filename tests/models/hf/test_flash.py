"""What is handed to torch's attention with variable lengths, which itself needs CUDA.

The stand-in does what its documentation says, row by row, so that starts, lengths and windows are
held to the portable attention here; the kernel is tried out by the runner where there is one.
"""

from typing import Any

import pytest
import torch
from torch.nn.attention import varlen

from glasschat.models.base import ForwardRow
from glasschat.models.hf import flash
from glasschat.models.hf.attention import AttentionRules, LayerAttention
from glasschat.models.hf.graphs import recompute
from tests.support.hf_families import TOLERANCE, Conversations, converse, ours, stock


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """varlen_attn by its documentation: causality is counted from the ends."""

    def attend(
        query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int,
        *, scale: float | None, window_size: tuple[int, int], enable_gqa: bool, seqused_k: Any,
    ) -> Any:  # fmt: skip
        assert query.is_contiguous() and key.is_contiguous()
        assert all(t.dtype == torch.int32 for t in (cu_seq_q, cu_seq_k, seqused_k))
        assert len(cu_seq_q) == len(cu_seq_k) == len(seqused_k) + 1
        assert enable_gqa == (query.shape[1] != key.shape[1])
        parts = []
        for row, used in enumerate(seqused_k.tolist()):
            asked = query[cu_seq_q[row] : cu_seq_q[row + 1]].transpose(0, 1)
            first = int(cu_seq_k[row])
            assert asked.shape[1] <= max_q and 0 < used <= max_k and first + used <= len(key)
            held = [t[first : first + used].transpose(0, 1) for t in (key, value)]
            at = torch.arange(asked.shape[1])[:, None] + used - asked.shape[1]
            keys = torch.arange(used)[None]
            before, after = (used if side < 0 else side for side in window_size)
            seen = (keys >= at - before) & (keys <= at + after)
            parts.append(
                torch.nn.functional.scaled_dot_product_attention(
                    asked, *held, attn_mask=seen, scale=scale, enable_gqa=enable_gqa
                ).transpose(0, 1)
            )
        return torch.cat(parts)

    monkeypatch.setattr(varlen, "varlen_attn", attend)


@pytest.mark.usefixtures("documented")
@pytest.mark.parametrize("kind", ["llama", "mistral", "gemma3_text"])
def test_rows_in_one_call_equal_each_sequence_alone(kind: str) -> None:
    """Chunks and single tokens, in graphs and without, with and without a window."""
    model = stock(kind)
    runner = ours(model, capture=recompute)
    runner._flash = True
    assert runner._graphs is not None
    runner._graphs._flash = True
    conversations = Conversations(model, runner)
    converse(conversations)
    assert conversations.worst < TOLERANCE


@pytest.mark.usefixtures("documented")
def test_a_kernel_is_tried_out_before_it_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert flash.measure_difference(torch.float32, cpu, 16) < 1e-5
    right = varlen.varlen_attn

    def wrong(*args: Any, **options: Any) -> Any:
        return right(*args, **{**options, "window_size": (-1, -1)})

    monkeypatch.setattr(varlen, "varlen_attn", wrong)
    assert flash.measure_difference(torch.float32, cpu, 16) > 0.05


@pytest.mark.parametrize(
    ("rules", "width", "value_width", "dtype"),
    [
        (AttentionRules(None, None, 50.0), 64, 64, torch.bfloat16),
        (AttentionRules(None, None, None), 192, 128, torch.bfloat16),
        (AttentionRules(None, None, None), 512, 512, torch.bfloat16),
        (AttentionRules(None, None, None), 64, 64, torch.float32),
    ],
)
def test_what_flash_attention_cannot_do_goes_the_portable_way(
    rules: AttentionRules, width: int, value_width: int, dtype: torch.dtype
) -> None:
    layers = [LayerAttention(rules, 8, width, value_width)]
    assert not flash.flash_usable(layers, dtype, torch.device("cuda"))


def test_without_cuda_nothing_is_tried() -> None:
    layers = [LayerAttention(AttentionRules(None, None, None), 8, 64, 64)]
    assert not flash.flash_usable(layers, torch.bfloat16, torch.device("cpu"))
    assert ours(stock("llama")).forward([ForwardRow(0, 0, [3], True)]).shape[0] == 1
