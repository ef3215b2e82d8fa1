"""Whether a vocabulary can be opened at all, tried in a process of its own.

llama.cpp ends the process where a damaged vocabulary breaks what it takes for granted, a token
that occurs twice for instance. The doctor must live to tell.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from glasschat.errors import GlasschatError, InvalidModel

SECONDS = 300.0
_ASSERTION = re.compile(r"GGML_A\w+\(.*\)")
_DAMAGED = "it is damaged, or was converted badly: get another conversion"


def try_vocabulary(path: Path) -> None:
    """Open the vocabulary of the GGUF at `path` elsewhere. Raises InvalidModel with the reason."""
    command = [sys.executable, "-P", "-m", "glasschat.doctor.trial", str(path)]
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InvalidModel(
            f"llama.cpp was not done with the vocabulary of {path.name} after {SECONDS:.0f} s: "
            f"{_DAMAGED}"
        ) from None
    if done.returncode == 0:
        return
    lines = done.stderr.decode(errors="replace").splitlines()
    if done.returncode == 1 and lines:
        raise InvalidModel(lines[-1])
    said = next((match[0] for line in lines if (match := _ASSERTION.search(line))), "")
    raise InvalidModel(
        f"llama.cpp breaks down over the vocabulary of {path.name}"
        f"{said and f' ({said[:200]})'}: {_DAMAGED}"
    )


def main() -> int:
    """Open the vocabulary that the command line names, and look at every token."""
    from glasschat.models.llama_tokenizer import open_vocabulary

    try:
        with open_vocabulary(sys.argv[1]) as tokenizer:
            for token_id in range(tokenizer.vocab_size):
                tokenizer.token_bytes(token_id)
            tokenizer.encode("Hello, world 123", control=True)
    except GlasschatError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
