"""The ceiling: llama.cpp's low-level calls in a bare loop that takes the argmax.

No sampling, no text, no stops, no trace; whatever glasschat spends beyond this is its own doing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glasschat.errors import InvalidModel, NotEnoughMemory, ParameterError, ReplyFailed

MICRO_BATCH = 512


@dataclass(frozen=True, slots=True)
class BareLoop:
    """Speeds of the bare loop, and how it was run.

    `prefill_tps` is over the whole prompt. `decode_tps` is over `decode_tokens` steps of one
    token each, at positions from `prompt_tokens` on; the argmax is part of each step.
    `system_info` is how llama.cpp was built.
    """

    prompt_tokens: int
    prefill_tps: float
    decode_tokens: int
    decode_tps: float
    threads: int
    batch_threads: int
    system_info: str


def measure_bare_loop(
    model_path: Path,
    prompt_ids: Sequence[int],
    n_tokens: int,
    *,
    threads: int,
    batch_threads: int,
    context: int,
    slots: int = 1,
    gpu_layers: int = 0,
    unified: bool = True,
) -> BareLoop:
    """Prefill `prompt_ids`, then decode `n_tokens` greedily; end tokens don't end it.

    The context is made as glasschat's runner makes it: `slots` KV caches of `context` positions
    (one cache for all if `unified`), flash attention left to llama.cpp. The decoding threads are
    warm: the first step after the prompt is not counted.
    """
    if not prompt_ids:
        raise ParameterError("prompt_ids", "at least one id", prompt_ids)
    if n_tokens < 1 or len(prompt_ids) + n_tokens + 1 > context:
        raise ParameterError(
            "n_tokens", f"1 to {context - len(prompt_ids) - 1} after this prompt", n_tokens
        )
    # The very library that glasschat's runner uses, with its settings for threads.
    from glasschat.models.llama_cpp import library, log

    lib: Any = library.llama_cpp
    log.silence()
    lib.llama_backend_init()
    model_params = lib.llama_model_default_params()
    model_params.n_gpu_layers = gpu_layers
    model = lib.llama_model_load_from_file(str(model_path).encode(), model_params)
    if not model:
        raise InvalidModel(f"{model_path}: llama.cpp cannot load it")
    params = lib.llama_context_default_params()
    params.n_ctx = slots * context
    params.n_batch = MICRO_BATCH + slots
    params.n_ubatch = MICRO_BATCH
    params.n_seq_max = slots
    params.kv_unified = unified
    params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_AUTO
    params.n_threads = threads
    params.n_threads_batch = batch_threads
    params.no_perf = True
    llama = lib.llama_init_from_model(model, params)
    if not llama:
        lib.llama_model_free(model)
        raise NotEnoughMemory(f"no memory for a KV cache of {slots} × {context:,} positions")
    try:
        prefill_s, decode_s = _run(lib, llama, model, list(prompt_ids), n_tokens)
    finally:
        lib.llama_free(llama)
        lib.llama_model_free(model)
    return BareLoop(
        prompt_tokens=len(prompt_ids),
        prefill_tps=len(prompt_ids) / prefill_s,
        decode_tokens=n_tokens,
        decode_tps=n_tokens / decode_s,
        threads=threads,
        batch_threads=batch_threads,
        system_info=lib.llama_print_system_info().decode(),
    )


def _run(lib: Any, llama: Any, model: Any, ids: list[int], n_tokens: int) -> tuple[float, float]:
    """Return the seconds for the prompt and the seconds for the counted steps."""
    vocab_size = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))

    def forward(some: list[int]) -> int:
        """Append ids to the cache; return the most likely id after the last of them."""
        array = (lib.llama_token * len(some))(*some)
        status = lib.llama_decode(llama, lib.llama_batch_get_one(array, len(some)))
        if status != 0:
            raise ReplyFailed(f"llama.cpp: llama_decode gave {status}")
        logits = lib.llama_get_logits_ith(llama, -1)
        return int(np.argmax(np.ctypeslib.as_array(logits, shape=(vocab_size,))))

    # Weights are read from disk at first touch: warm both kinds of step, then start anew.
    for warm in (ids[:MICRO_BATCH], ids[:1]):
        forward(warm)
    lib.llama_memory_clear(lib.llama_get_memory(llama), False)
    started = time.perf_counter()
    for begin in range(0, len(ids), MICRO_BATCH):
        token = forward(ids[begin : begin + MICRO_BATCH])
    prefill_s = time.perf_counter() - started
    token = forward([token])
    started = time.perf_counter()
    for _ in range(n_tokens):
        token = forward([token])
    return prefill_s, time.perf_counter() - started
