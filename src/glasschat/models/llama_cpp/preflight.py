"""Preflight of a GGUF: whether llama.cpp can open it at all, tested in a process of its own.

llama.cpp ends the process where a damaged file breaks what it takes for granted: a token that
occurs twice, a model of no layers. The caller's process must survive and report that. No weights
are read: the model is loaded without memory for them, which checks every figure and the shape of
every tensor. What was sound once is remembered and not tested again.
"""

import json
import logging
import math
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from glasschat.errors import GlasschatError, InvalidModel
from glasschat.folders import cache_folder
from glasschat.messages import Message, restore_message
from glasschat.models.gguf.files import split_files
from glasschat.models.gguf.header import GgufHeader
from glasschat.models.llama_cpp.library import llama_cpp

SECONDS = 300.0
_ASSERTION = re.compile(r"GGML_A\w+\(.*\)")
_VOCABULARY_IS_FINE = "the vocabulary is fine"
_ANOTHER = Message("get another conversion")


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """Why vocabulary and model could not be opened; None where they could."""

    vocabulary: Message | None = None
    model: Message | None = None


def open_in_subprocess(path: Path, *, weights: bool) -> PreflightResult:
    """Open the GGUF at `path` in a process of its own; the vocabulary only, without `weights`."""
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
        reason = Message(
            "llama.cpp was not done with {name} after {seconds:.0f} s: it is damaged, or was "
            "converted badly: {advice}",
            name=path.name,
            seconds=SECONDS,
            advice=_ANOTHER,
        )
        return _failure(reason, late.stdout)
    if done.returncode == 0:
        return PreflightResult()
    lines = done.stderr.decode(errors="replace").splitlines()
    if done.returncode == 1 and lines:
        return _failure(_reported(lines[-1], done.stdout), done.stdout)
    said = next((match[0] for line in lines if (match := _ASSERTION.search(line))), "")
    reason = Message(
        "llama.cpp breaks down over {name}{assertion}: it is damaged, or was converted badly: "
        "{advice}",
        name=path.name,
        assertion=said and f" ({said[:200]})",
        advice=_ANOTHER,
    )
    return _failure(reason, done.stdout)


def _reported(line: str, output: bytes) -> Message:
    """Return the message whose line the other process ended with, from its output."""
    try:
        plain = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        plain = None
    return Message(restore_message(line, plain))


def _failure(reason: Message, output: bytes | None) -> PreflightResult:
    """Return the result for `reason`: what failed is the first part not reported as fine."""
    if _VOCABULARY_IS_FINE.encode() in (output or b""):
        return PreflightResult(model=reason)
    return PreflightResult(vocabulary=reason)


def main() -> int:
    """Open what the command line names, and print how far it went. Returns the exit code."""
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
        print(json.dumps(error.message.to_json()), flush=True)
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
    log.clear_errors()
    model = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise log.load_error(Message("load {name}", name=path.name))
    llama_cpp.llama_model_free(model)


log = logging.getLogger(__name__)

_EPSILONS = ("layer_norm_rms_epsilon", "layer_norm_epsilon", "group_norm_epsilon")


def check_in_subprocess(header: GgufHeader, *, weights: bool = True) -> None:
    """Raise InvalidModel for a model over which llama.cpp would end the process.

    `header` counts all files of the model, all of which exist. Without `weights` only its
    vocabulary is to be opened. Half a second for a file that is new here, nothing afterwards.
    """
    if weights:
        _check_epsilons(header)
    fingerprint = _fingerprint(header)
    whole, part = f"{fingerprint}-model", f"{fingerprint}-vocabulary"
    if _is_remembered(whole) or (not weights and _is_remembered(part)):
        return
    trial = open_in_subprocess(header.path, weights=weights)
    if reason := trial.vocabulary or trial.model:
        raise InvalidModel(reason)
    _remember(whole if weights else part)


def _check_epsilons(header: GgufHeader) -> None:
    """Check the one figure that llama.cpp asserts only when the first token is computed."""
    for name in _EPSILONS:
        key = f"{header.architecture}.attention.{name}"
        value = header.metadata.get(key)
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
            raise InvalidModel(
                "{name} is damaged: it claims {key} {value:g}, and no model can have that: "
                "{advice}",
                name=header.path.name,
                key=key,
                value=value,
                advice=Message("get another conversion"),
            )


def _fingerprint(header: GgufHeader) -> str:
    """Return a key for the files and llama.cpp's version: paths, sizes and times."""
    said = [llama_cpp.__version__]
    for path in split_files(header.path.absolute()):
        status = path.stat()
        said += [str(path), str(status.st_size), str(status.st_mtime_ns)]
    return sha256("\0".join(said).encode(errors="surrogateescape")).hexdigest()[:32]


def _is_remembered(mark: str) -> bool:
    """Return whether this key has passed before."""
    with suppress(OSError, RuntimeError):
        return (cache_folder() / "tried" / mark).exists()
    return False


def _remember(mark: str) -> None:
    """Record that this key has passed."""
    # RuntimeError: a user without a home.
    try:
        folder = cache_folder() / "tried"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / mark).touch()
    except (OSError, RuntimeError) as error:
        log.info("the model will be tried again the next time: %s", error)


if __name__ == "__main__":
    sys.exit(main())
