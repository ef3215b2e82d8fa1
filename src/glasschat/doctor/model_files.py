"""Reads a model's metadata from its path, and opens its vocabulary."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glasschat.doctor.finding import Finding, report_failure, report_pass
from glasschat.doctor.folder_metadata import folder_metadata, partial_folder_metadata
from glasschat.doctor.formatting import format_bytes, plural, split_advice
from glasschat.doctor.gguf_metadata import gguf_metadata
from glasschat.doctor.metadata import ModelMetadata
from glasschat.errors import InvalidModel, ModelError, ModelNotFound
from glasschat.messages import Message
from glasschat.models.base import Tokenizer
from glasschat.models.gguf.files import display_name, read_model
from glasschat.models.hf.folder import read_folder
from glasschat.models.hf.tokenizer import HfTokenizer
from glasschat.models.llama_cpp.preflight import PreflightResult, open_in_subprocess
from glasschat.models.llama_cpp.tokenizer import open_vocabulary

_AGAIN = "get it again, and compare sizes and checksums with the publisher's"


def read_metadata(path: Path) -> tuple[ModelMetadata, Finding]:
    """Return the metadata of the model at `path`, and the finding on whether its files are whole.

    A damaged model is read as far as possible. Raises ModelNotFound if there is nothing at `path`.
    """
    try:
        if not path.exists():
            raise ModelNotFound(
                "there is no file or folder {path}: {advice}",
                path=path,
                advice=Message("check the path"),
            )
        return _read_folder(path) if path.is_dir() else _read_gguf(path)
    except (OSError, ValueError) as error:
        raise ModelNotFound(
            "{path} cannot be read: {error}", path=repr(str(path)), error=error
        ) from None


def preflight(metadata: ModelMetadata) -> PreflightResult:
    """Check in another process that the libraries that would load the model survive it."""
    if metadata.kind == "folder":
        # tokenizers and transformers raise where something is wrong.
        return PreflightResult()
    return open_in_subprocess(metadata.path, weights=bool(metadata.tensors))


@contextmanager
def open_tokenizer(metadata: ModelMetadata, trial: PreflightResult) -> Iterator[Tokenizer]:
    """Open the model's tokenizer, without its weights. Raises ModelError."""
    if metadata.kind == "folder":
        yield HfTokenizer(metadata.path, vocab_size=metadata.embedding_rows or None)
        return
    if trial.vocabulary:
        raise InvalidModel(trial.vocabulary)
    with open_vocabulary(metadata.path) as tokenizer:
        yield tokenizer


def _read_folder(path: Path) -> tuple[ModelMetadata, Finding]:
    try:
        folder = read_folder(path)
        metadata = folder_metadata(folder)
    except ModelError as error:
        return partial_folder_metadata(path), report_failure(
            "file", *split_advice(error.message, _AGAIN)
        )
    return metadata, report_pass(
        "file",
        f"a whole folder: {plural(len(folder.tensors), 'tensor')} in "
        f"{plural(len(folder.shards), 'safetensors file')} of {format_bytes(folder.weight_bytes)}",
        tensors=len(folder.tensors),
        files=len(folder.shards),
        bytes=folder.weight_bytes,
    )


def _read_gguf(path: Path) -> tuple[ModelMetadata, Finding]:
    try:
        header = read_model(path)
        metadata = gguf_metadata(path)
    except ModelError as error:
        return _partial_gguf_metadata(path), report_failure(
            "file", *split_advice(error.message, _AGAIN)
        )
    return metadata, report_pass(
        "file",
        f"a whole GGUF of version {header.version}: {plural(header.tensor_count, 'tensor')} in "
        f"{format_bytes(header.file_bytes)}",
        tensors=header.tensor_count,
        files=metadata.files,
        bytes=header.file_bytes,
    )


def _partial_gguf_metadata(path: Path) -> ModelMetadata:
    try:
        return gguf_metadata(path)
    except Exception:
        # What a damaged file claims may be anything; the damage is reported already.
        return ModelMetadata(kind="GGUF", path=path, name=display_name(path))
