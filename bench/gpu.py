"""Decoding on a GPU: with CUDA graphs and without, against transformers' generate.

`python -m bench.gpu` measures a Llama-3-8B of random weights, built on the card: speed does not
depend on what the weights say, and nothing has to be downloaded. Every figure is tokens per second
of all replies together, each with `context` tokens behind it, whole rows of logits brought to the
host, beside what the memory's bandwidth allows. `--tiny --device cpu` goes the same way in seconds,
on a machine without a GPU.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:
    # Run as `python bench/gpu.py`: modules are looked up from the checkout, not from bench/.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.gpu_report import WARM_UPS, Cell, GpuReport, Plan
from bench.rivals._libraries import import_library
from glasschat.errors import GlasschatError
from glasschat.models.base import ForwardRow
from glasschat.models.hf.device import choose_device

LLAMA_3_8B: dict[str, Any] = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 16384,
    "rope_theta": 500000.0,
}
TINY: dict[str, Any] = LLAMA_3_8B | {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CHUNK = 512
_COPIED = 2**30


Key = tuple[int, int]


def measure_gpu(plan: Plan, say: Callable[[str], None] = lambda _: None) -> GpuReport:
    """Build the model and measure every cell; `say` is told what is running."""
    torch = import_library("torch")
    say("building the model")
    module = _build(plan)
    bandwidth = _measure_bandwidth(plan)
    logits: list[Any] = []
    ours = _measure_runner(plan, module, True, logits, say)
    plain = _measure_runner(plan, module, False, logits, say)
    generate = _measure_generate(plan, module, say)
    cells = [
        Cell(
            parallel,
            context,
            ours.get((parallel, context)),
            plain.get((parallel, context)),
            generate.get((parallel, context)),
            parallel * bandwidth / _bytes_per_step(module, parallel, context),
        )
        for context in plan.contexts
        for parallel in plan.parallel
    ]
    apart = float(np.abs(logits[0] - logits[1]).max() / logits[1].std())
    name = torch.cuda.get_device_name(plan.device) if _on_cuda(plan) else plan.device
    return GpuReport(plan, name, torch.__version__, bandwidth, apart, tuple(cells))


def _build(plan: Plan) -> Any:
    torch, lib = import_library("torch"), import_library("transformers")
    config = lib.LlamaConfig(**(TINY if plan.tiny else LLAMA_3_8B))
    torch.manual_seed(0)
    with torch.device(plan.device):
        module = lib.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, plan.dtype))
    return module.eval().requires_grad_(False)


def _measure_runner(
    plan: Plan, module: Any, graphs: bool, logits: list[Any], say: Callable[[str], None]
) -> dict[Key, float]:
    """Measure our runner, the longest context first: a slot can be cut, and not grown, for free.

    One row of logits for comparison goes to `logits`.
    """
    from glasschat.models.hf.graphs import recompute
    from glasschat.models.hf.runner import HfRunner

    capture = recompute if graphs and not _on_cuda(plan) else None
    runner = HfRunner(
        module,
        slots=max(plan.parallel),
        context=plan.positions,
        device=plan.device,
        graphs=graphs,
        capture=capture,
    )
    found: dict[Key, float] = {}
    try:
        _fill_slots(runner, max(plan.contexts))
        for context in sorted(plan.contexts, reverse=True):
            for parallel in plan.parallel:
                say(f"ours {'with' if graphs else 'without'} graphs: {parallel} at {context:,}")
                with _skip_if_out_of_memory():
                    found[parallel, context] = _measure_decode(
                        runner, parallel, context, plan.steps
                    )
        runner.truncate(0, min(plan.contexts))
        row = ForwardRow(0, min(plan.contexts), [7], True)
        logits.append(runner.forward([row]).copy())
    finally:
        runner.close()
    return found


def _fill_slots(runner: Any, length: int) -> None:
    ids = np.random.default_rng(0).integers(0, runner.vocab_size, length).tolist()
    for start in range(0, length, CHUNK):
        runner.forward([ForwardRow(0, start, ids[start : start + CHUNK], False)])
    for slot in range(1, runner.slots):
        runner.copy_prefix(0, slot, length)


def _measure_decode(runner: Any, parallel: int, context: int, steps: int) -> float:
    for slot in range(parallel):
        runner.truncate(slot, context)
    ids = list(range(parallel))
    started = 0.0
    for step in range(WARM_UPS + steps):
        if step == WARM_UPS:
            started = time.perf_counter()
        rows = [ForwardRow(slot, context + step, [ids[slot]], True) for slot in range(parallel)]
        ids = runner.forward(rows).argmax(axis=1).tolist()
    return parallel * steps / (time.perf_counter() - started)


def _measure_generate(plan: Plan, module: Any, say: Callable[[str], None]) -> dict[Key, float]:
    """Measure generate on equally long prompts in one batch, less the prompt's time."""
    torch = import_library("torch")
    module.set_attn_implementation("sdpa")
    found: dict[Key, float] = {}
    for context in plan.contexts:
        for parallel in plan.parallel:
            say(f"generate: {parallel} at {context:,}")
            ids = torch.randint(0, module.config.vocab_size, (parallel, context)).to(plan.device)
            with _skip_if_out_of_memory():
                _time_generate(module, ids, 1)
                prompt = _time_generate(module, ids, 1)
                whole = _time_generate(module, ids, plan.steps + 1)
                # On a machine with neighbours a short run may take longer than a long one.
                found[parallel, context] = parallel * plan.steps / max(whole - prompt, 1e-9)
    return found


def _time_generate(module: Any, ids: Any, tokens: int) -> float:
    torch = import_library("torch")
    started = time.perf_counter()
    with torch.inference_mode():
        module.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            pad_token_id=0,
        ).cpu()
    return time.perf_counter() - started


def _bytes_per_step(module: Any, parallel: int, context: int) -> int:
    """Return the bytes that a step must read: all weights but the embedding's, and the caches."""
    config = module.config
    weights = sum(p.nbytes for p in module.parameters())
    weights -= module.get_input_embeddings().weight.nbytes
    width = config.num_key_value_heads * config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * width * module.dtype.itemsize
    return int(weights + parallel * context * per_token)


def _measure_bandwidth(plan: Plan) -> float:
    """Return bytes per second of a copy on the device, read and written, the best of five."""
    torch = import_library("torch")
    source = torch.ones(_COPIED // (64 if plan.tiny else 1), dtype=torch.uint8, device=plan.device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(6):
        started = time.perf_counter()
        target.copy_(source)
        # The copy is awaited by what it leads to.
        int(target[-1])
        best = max(best, 2 * source.nbytes / (time.perf_counter() - started))
    return best


@contextmanager
def _skip_if_out_of_memory() -> Iterator[None]:
    """Leave a cell empty for which there is not enough memory."""
    from glasschat.errors import ReplyFailed
    from glasschat.models.hf.errors import is_out_of_memory

    try:
        yield
    except (ReplyFailed, RuntimeError, MemoryError) as error:
        if not isinstance(error, ReplyFailed) and not is_out_of_memory(error):
            raise
    gc.collect()


def _on_cuda(plan: Plan) -> bool:
    return plan.device.startswith("cuda")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write the JSON; 2 when the device is not there."""
    parser = argparse.ArgumentParser(prog="bench.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float16", "float32"))
    parser.add_argument("--parallel", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--contexts", type=int, nargs="+", default=[1024, 4096, 8192])
    parser.add_argument("--steps", type=int, default=64, help="tokens of each reply that are timed")
    parser.add_argument("--tiny", action="store_true", help="a model of two small layers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go as JSON")
    options = parser.parse_args(arguments)
    try:
        plan = Plan(
            device=choose_device(options.device),
            dtype=options.dtype,
            parallel=tuple(options.parallel),
            contexts=tuple(options.contexts),
            steps=options.steps,
            tiny=options.tiny,
        )
        report = measure_gpu(plan, lambda text: print(text, file=sys.stderr, flush=True))
    except GlasschatError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.as_text())
    if options.json:
        options.json.write_text(json.dumps(report.as_json(), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
