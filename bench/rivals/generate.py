"""The peer for model folders: transformers' own `generate` with a streamer, one reply at a time.

It runs in a process of its own, which keeps the model: two threads that compute by turns in one
process slow each other down.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.rivals._libraries import import_library
from bench.rivals.original import REPETITION_PENALTY, TEMPERATURE, TOP_P

_loaded: dict[tuple[Path, str], Any] = {}


@dataclass(frozen=True, slots=True)
class GenerateReply:
    """One reply. `ttft_s` runs from the call to the first token that the streamer is handed;
    `decode_tps` counts the tokens after it, `seconds` all of the call.
    """

    ids: tuple[int, ...]
    ttft_s: float
    decode_tps: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Generate:
    """transformers in its own process, on one model folder."""

    folder: Path
    dtype: str
    threads: int
    _process: ProcessPoolExecutor

    def replies(
        self, prompts: Sequence[Sequence[int]], n_tokens: int, *, seed: int = 0
    ) -> list[GenerateReply]:
        """Answer each prompt by exactly `n_tokens`, one after the other."""
        return self._process.submit(
            _replies, self.folder, self.dtype, self.threads, prompts, n_tokens, seed
        ).result()


@contextmanager
def generate(folder: Path, *, dtype: str, threads: int) -> Iterator[Generate]:
    """Run transformers in a child process, loaded and warm. Raises MissingExtra."""
    import_library("transformers")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        rival = Generate(folder, dtype, threads, process)
        rival.replies([[1, 2, 3, 4]], 4)
        yield rival


def _replies(
    folder: Path,
    dtype: str,
    threads: int,
    prompts: Sequence[Sequence[int]],
    n_tokens: int,
    seed: int,
) -> list[GenerateReply]:
    torch = import_library("torch")
    torch.set_num_threads(threads)
    if (folder, dtype) not in _loaded:
        lib = import_library("transformers")
        lib.utils.logging.set_verbosity_error()
        lib.utils.logging.disable_progress_bar()
        model = lib.AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype=getattr(torch, dtype)
        ).eval()
        # Replies of one length on both sides: no end token ends them.
        model.generation_config.eos_token_id = None
        _loaded[folder, dtype] = model
    model = _loaded[folder, dtype]
    torch.manual_seed(seed)
    return [_reply(torch, model, ids, n_tokens) for ids in prompts]


class _Streamer:
    """Streamer that notes the times of the tokens; the prompt comes first."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, _: Any) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass


def _reply(torch: Any, model: Any, ids: Sequence[int], n_tokens: int) -> GenerateReply:
    prompt = torch.tensor([list(ids)])
    streamer = _Streamer()
    started = time.perf_counter()
    output = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=n_tokens,
        do_sample=True,
        temperature=TEMPERATURE,
        top_p=TOP_P,
        top_k=0,
        repetition_penalty=REPETITION_PENALTY,
        pad_token_id=0,
        streamer=streamer,
    )
    ended = time.perf_counter()
    first, last = streamer.times[1], streamer.times[-1]
    return GenerateReply(
        ids=tuple(output[0, len(ids) :].tolist()),
        ttft_s=first - started,
        decode_tps=(n_tokens - 1) / (last - first),
        seconds=ended - started,
    )
