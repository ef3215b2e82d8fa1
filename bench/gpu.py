"""Measure decoding on a GPU, on a Llama-3-8B of random weights: `python bench/gpu.py`.

`--tiny --device cpu` goes the same way in seconds, on a machine without a GPU.
"""

import argparse
import json
import sys
from pathlib import Path

from glasschat.bench.gpu import measure_gpu
from glasschat.bench.gpu_report import Plan
from glasschat.errors import GlasschatError
from glasschat.models.hf.device import choose_device


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write the JSON; 2 when the device is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
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
