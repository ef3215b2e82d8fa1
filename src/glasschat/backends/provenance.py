"""Provenance: what a reply's record should say of the program and the model that wrote it."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from glasschat import __version__
from glasschat.models.gguf.files import split_files
from glasschat.models.hf.shards import SINGLE

log = logging.getLogger(__name__)

HEAD_BYTES = 2**20
BLOCKS = 256
BLOCK_BYTES = 4096
_FOLDER_FILES = ("config.json", "tokenizer.json", "tokenizer.model")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Fingerprints of model and template, and versions by the names of packages.

    A fingerprint names how it was made, and is empty where that is not known. `versions` are
    those of glasschat and of what computes.
    """

    model_fingerprint: str = ""
    template_fingerprint: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def provenance(path: Path, template_source: str | None) -> Provenance:
    """Return the provenance of the model at `path`, a GGUF or a folder, and of its chat template.

    Takes some ten milliseconds for each file of the model. What cannot be found out is empty.
    """
    packages = ("torch", "transformers") if path.is_dir() else ("llama-cpp-python",)
    found = {name: _version(name) for name in packages} if path.exists() else {}
    try:
        model = fingerprint(path)
    except OSError as error:
        log.warning("the model has no fingerprint: %s", error)
        model = ""
    template = ""
    if template_source is not None:
        template = f"sha256:{hashlib.sha256(template_source.encode()).hexdigest()}"
    return Provenance(model, template, {"glasschat": __version__, **found})


def fingerprint(path: Path) -> str:
    """Return a fingerprint of the model at `path`; empty where there are no files of one.

    It covers, of every file in order, the size, the first MiB (metadata, tables of tensors) and 256
    blocks of 4 KiB that are spread evenly over the rest, up to the last byte; for a folder its
    config.json, its vocabulary and its weights. Names, dates and places do not matter. So it tells
    models and quantisations apart, and copies of one are the same; it does not prove that no byte
    between the blocks was changed. Raises OSError.
    """
    digest = hashlib.sha256()
    seen = False
    for file in _files(path):
        seen = True
        size = file.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with file.open("rb") as stream:
            for start, length in _samples(size):
                stream.seek(start)
                digest.update(stream.read(length))
    return f"sampled-sha256:{digest.hexdigest()}" if seen else ""


def _files(path: Path) -> list[Path]:
    """Return the files that the fingerprint covers, in order."""
    if path.is_file():
        return split_files(path)
    weights = path / SINGLE
    shards = [weights] if weights.exists() else sorted(path.glob("*-of-*.safetensors"))
    return [*(file for name in _FOLDER_FILES if (file := path / name).exists()), *shards]


def _samples(size: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of each block to read of a file of `size` bytes."""
    head = min(size, HEAD_BYTES)
    yield 0, head
    rest = size - head
    if rest <= BLOCKS * BLOCK_BYTES:
        yield head, rest
        return
    for number in range(1, BLOCKS + 1):
        yield head + number * rest // BLOCKS - BLOCK_BYTES, BLOCK_BYTES


def _version(package: str) -> str:
    """Return the installed version of a package; empty if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
