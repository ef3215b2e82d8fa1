"""Whether llama.cpp can open a GGUF at all, tried in a process of its own.

llama.cpp ends the process where a damaged file breaks what it takes for granted: a token that
occurs twice, a model of no layers. Whoever asked must live to be told. No weights are read: the
model is loaded without memory for them, which checks every figure and the shape of every tensor.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from glasschat.errors import GlasschatError

SECONDS = 300.0
_ASSERTION = re.compile(r"GGML_A\w+\(.*\)")
_VOCABULARY_IS_FINE = "the vocabulary is fine"
_DAMAGED = "it is damaged, or was converted badly: get another conversion"


@dataclass(frozen=True, slots=True)
class Trial:
    """Why the vocabulary, and why the model itself, could not be opened; empty where they could."""

    vocabulary: str = ""
    model: str = ""


def try_gguf(path: Path, *, weights: bool) -> Trial:
    """Open the GGUF at `path` elsewhere; its vocabulary only, unless it has `weights`."""
    # Without -P a module in the folder that one happens to be in would be imported.
    command = [sys.executable, "-P", "-m", "glasschat.models.llama_cpp.preflight", str(path)]
    try:
        done = subprocess.run(
            [*command, "weights"] if weights else command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        reason = f"llama.cpp was not done with {path.name} after {SECONDS:.0f} s: {_DAMAGED}"
        return _trial(reason, late.stdout)
    if done.returncode == 0:
        return Trial()
    lines = done.stderr.decode(errors="replace").splitlines()
    if done.returncode == 1 and lines:
        return _trial(lines[-1], done.stdout)
    said = next((match[0] for line in lines if (match := _ASSERTION.search(line))), "")
    reason = f"llama.cpp breaks down over {path.name}{said and f' ({said[:200]})'}: {_DAMAGED}"
    return _trial(reason, done.stdout)


def _trial(reason: str, output: bytes | None) -> Trial:
    """What failed is the first thing of which it was not said that it is fine."""
    if _VOCABULARY_IS_FINE.encode() in (output or b""):
        return Trial(model=reason)
    return Trial(vocabulary=reason)


def main() -> int:
    """Open what the command line names, and say how far it went."""
    from glasschat.models.llama_cpp.tokenizer import open_vocabulary

    path, weights = Path(sys.argv[1]), len(sys.argv) > 2
    try:
        with open_vocabulary(path) as tokenizer:
            for token_id in range(tokenizer.vocab_size):
                tokenizer.token_bytes(token_id)
            tokenizer.encode("Hello, world 123", control=True)
        print(_VOCABULARY_IS_FINE, flush=True)
        if weights:
            _load_without_weights(path)
    except GlasschatError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _load_without_weights(path: Path) -> None:
    """Have llama.cpp check everything that it checks before it reads weights."""
    from glasschat.models.llama_cpp import log
    from glasschat.models.llama_cpp.library import llama_cpp

    params = llama_cpp.llama_model_default_params()
    params.no_alloc = True
    params.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
    params.n_gpu_layers = 0
    log.forget_errors()
    model = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise log.refusal(f"load {path.name}")
    llama_cpp.llama_model_free(model)


if __name__ == "__main__":
    sys.exit(main())
