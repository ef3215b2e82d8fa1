"""Whether llama.cpp can be let near a GGUF in this process, tried once for each file.

What a trial found good is remembered by an empty file in the user's cache folder, whose name
stands for the model's files as they are and for the release of llama.cpp.
"""

import logging
import math
from contextlib import suppress
from hashlib import sha256

from glasschat.errors import InvalidModel
from glasschat.folders import cache_folder
from glasschat.models.gguf.files import files_of
from glasschat.models.gguf.header import GgufHeader
from glasschat.models.llama_cpp.library import llama_cpp
from glasschat.models.llama_cpp.preflight import try_gguf

log = logging.getLogger(__name__)

_EPSILONS = ("layer_norm_rms_epsilon", "layer_norm_epsilon", "group_norm_epsilon")


def vouch(header: GgufHeader, *, weights: bool = True) -> None:
    """Raise InvalidModel for a model over which llama.cpp would end the process.

    `header` counts all files of the model, all of which are there. Without `weights` only its
    vocabulary is to be opened. Half a second for a file that is new here, nothing afterwards.
    """
    if weights:
        _check_epsilons(header)
    fingerprint = _fingerprint(header)
    whole, part = f"{fingerprint}-model", f"{fingerprint}-vocabulary"
    if _is_remembered(whole) or (not weights and _is_remembered(part)):
        return
    trial = try_gguf(header.path, weights=weights)
    if reason := trial.vocabulary or trial.model:
        raise InvalidModel(reason)
    _remember(whole if weights else part)


def _check_epsilons(header: GgufHeader) -> None:
    """The one figure that is asserted when the first token is computed, and not before."""
    for name in _EPSILONS:
        key = f"{header.architecture}.attention.{name}"
        value = header.metadata.get(key)
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
            raise InvalidModel(
                f"{header.path.name} is damaged: it claims {key} {value:g}, and no model can have "
                "that: get another conversion"
            )


def _fingerprint(header: GgufHeader) -> str:
    said = [llama_cpp.__version__]
    for path in files_of(header.path.absolute()):
        status = path.stat()
        said += [str(path), str(status.st_size), str(status.st_mtime_ns)]
    return sha256("\0".join(said).encode(errors="surrogateescape")).hexdigest()[:32]


def _is_remembered(mark: str) -> bool:
    with suppress(OSError, RuntimeError):
        return (cache_folder() / "tried" / mark).exists()
    return False


def _remember(mark: str) -> None:
    # RuntimeError: a user without a home.
    try:
        folder = cache_folder() / "tried"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / mark).touch()
    except (OSError, RuntimeError) as error:
        log.info("the model will be tried again the next time: %s", error)
