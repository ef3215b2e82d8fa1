"""From a path to the facts of a model, and to its vocabulary."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glasschat.doctor.facts import Facts
from glasschat.doctor.finding import Finding, failed, passed
from glasschat.doctor.folder_facts import folder_facts, what_is_left
from glasschat.doctor.gguf_facts import gguf_facts
from glasschat.doctor.words import parted, plural, size
from glasschat.errors import InvalidModel, ModelError, ModelNotFound
from glasschat.models.base import Tokenizer
from glasschat.models.gguf.files import display_name, read_model
from glasschat.models.hf.folder import read_folder
from glasschat.models.hf.tokenizer import HfTokenizer
from glasschat.models.llama_cpp.preflight import PreflightResult, open_in_subprocess
from glasschat.models.llama_cpp.tokenizer import open_vocabulary

_AGAIN = "get it again, and compare sizes and checksums with the publisher's"


def read_facts(path: Path) -> tuple[Facts, Finding]:
    """What the model at `path` says of itself, and whether it is all there.

    A model that is damaged is read as far as it goes. Raises ModelNotFound when there is nothing
    at `path`.
    """
    try:
        if not path.exists():
            raise ModelNotFound(f"there is no file or folder {path}: check the path")
        return _read_folder(path) if path.is_dir() else _read_gguf(path)
    except (OSError, ValueError) as error:
        raise ModelNotFound(f"{str(path)!r} cannot be read: {error}") from None


def tried(facts: Facts) -> PreflightResult:
    """Whether the libraries that would load the model can be let near it."""
    if facts.kind == "folder":
        # tokenizers and transformers raise where something is wrong.
        return PreflightResult()
    return open_in_subprocess(facts.path, weights=bool(facts.tensors))


@contextmanager
def open_tokenizer(facts: Facts, trial: PreflightResult) -> Iterator[Tokenizer]:
    """The model's tokenizer, without its weights. Raises ModelError."""
    if facts.kind == "folder":
        yield HfTokenizer(facts.path, vocab_size=facts.embedding_rows or None)
        return
    if trial.vocabulary:
        raise InvalidModel(trial.vocabulary)
    with open_vocabulary(facts.path) as tokenizer:
        yield tokenizer


def _read_folder(path: Path) -> tuple[Facts, Finding]:
    try:
        folder = read_folder(path)
        facts = folder_facts(folder)
    except ModelError as error:
        return what_is_left(path), failed("file", *parted(str(error), _AGAIN))
    return facts, passed(
        "file",
        f"a whole folder: {plural(len(folder.tensors), 'tensor')} in "
        f"{plural(len(folder.shards), 'safetensors file')} of {size(folder.weight_bytes)}",
        tensors=len(folder.tensors),
        files=len(folder.shards),
        bytes=folder.weight_bytes,
    )


def _read_gguf(path: Path) -> tuple[Facts, Finding]:
    try:
        header = read_model(path)
        facts = gguf_facts(path)
    except ModelError as error:
        return _whatever_is_left(path), failed("file", *parted(str(error), _AGAIN))
    return facts, passed(
        "file",
        f"a whole GGUF of version {header.version}: {plural(header.tensor_count, 'tensor')} in "
        f"{size(header.file_bytes)}",
        tensors=header.tensor_count,
        files=facts.files,
        bytes=header.file_bytes,
    )


def _whatever_is_left(path: Path) -> Facts:
    try:
        return gguf_facts(path)
    except Exception:
        # What a damaged file claims may be anything; that it is damaged has been said.
        return Facts(kind="GGUF", path=path, name=display_name(path))
