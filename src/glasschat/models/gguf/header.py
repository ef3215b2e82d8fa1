"""Header of a GGUF file: facts about the model, and whether the file is complete.

Reads no weights. docs/decisions/gguf-header.md says why this is not gguf-py's reader.
"""

import stat
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from glasschat.errors import InvalidModel, ModelNotFound
from glasschat.messages import Message
from glasschat.models.gguf.reader import (
    MOST_FIELDS,
    MOST_TENSORS,
    CutOffError,
    DamagedError,
    GgufArray,
    Reader,
    Value,
)
from glasschat.models.gguf.table import data_start, read_fields, read_tensors
from glasschat.models.gguf.types import FILE_TYPES

MAGIC = b"GGUF"
SHORTEST = 24
_AGAIN = Message("download or copy it again")


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """Contents of a GGUF file's header.

    `needed_bytes` is how long the file must be to hold every tensor of a known type; `tensor_bytes`
    is how much of it each tensor type takes.
    """

    path: Path
    version: int
    metadata: Mapping[str, Value]
    tensor_count: int
    parameters: int
    tensor_bytes: Mapping[str, int]
    needed_bytes: int
    file_bytes: int

    @property
    def name(self) -> str:
        """Return the model's own name; empty if it has none."""
        return self._text("general.name")

    @property
    def architecture(self) -> str:
        """Return the family as llama.cpp names it, such as `llama`; empty if it is not stated."""
        return self._text("general.architecture")

    @property
    def quantization(self) -> str:
        """Return the quantisation, such as `Q4_K_M`; else the type of most of the weights."""
        known = FILE_TYPES.get(self._number("general.file_type", -1) & ~1024)
        return known or max(
            self.tensor_bytes, key=lambda t: self.tensor_bytes[t], default="unknown"
        )

    @property
    def train_context(self) -> int:
        """Return the longest context the model was made for, in tokens; 0 if it is not stated."""
        return self._number(f"{self.architecture}.context_length", 0)

    @property
    def vocab_size(self) -> int:
        """Return how many tokens there are; 0 if it is not stated."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        if isinstance(tokens, GgufArray):
            return tokens.length
        if isinstance(tokens, tuple):
            return len(tokens)
        return self._number(f"{self.architecture}.vocab_size", 0)

    @property
    def kv_bytes_per_token(self) -> int:
        """Return the bytes of f16 KV cache for one position, over all layers; 0 if unknown.

        An upper bound where layers share their cache or attend to a window only.
        """
        layers = self._number(f"{self.architecture}.block_count", 0)
        heads = self._per_layer("head_count", layers, 0)
        kv_heads = self._per_layer("head_count_kv", layers, None) or heads
        most = max(heads, default=0)
        width = self._number(f"{self.architecture}.embedding_length", 0) // most if most else 0
        key = self._number(f"{self.architecture}.attention.key_length", width)
        value = self._number(f"{self.architecture}.attention.value_length", width)
        return sum(kv_heads) * (key + value) * 2

    def _text(self, key: str) -> str:
        """Return a metadata field that is text; empty otherwise."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def _number(self, key: str, default: int) -> int:
        """Return a metadata field that is a non-negative integer; `default` otherwise."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and value >= 0 else default

    def _per_layer(self, key: str, layers: int, default: int | None) -> list[int]:
        """Return an attention field for each layer; it is stored as one number or as an array."""
        value = self.metadata.get(f"{self.architecture}.attention.{key}", default)
        if isinstance(value, tuple):
            return [count for count in value if isinstance(count, int) and count >= 0]
        # A layer count that no model has is damage; it must not become a list of that length.
        return [value] * min(layers, 100_000) if isinstance(value, int) and value >= 0 else []


def read_header(path: Path | str, arrays: Collection[str] = ()) -> GgufHeader:
    """Read the header of the GGUF file at `path`, in milliseconds, and check it against the size.

    Arrays of more than 1,024 entries come as a `GgufArray`, unless `arrays` names them. Raises
    ModelNotFound where there is no file, InvalidModel for a file that is no GGUF, is damaged, is
    cut off, or is of a version that is not read.
    """
    path = Path(path)
    size = _file_size(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start != MAGIC[:size] or not size:
                raise _not_gguf(path, start, size)
            if size < SHORTEST:
                raise CutOffError(SHORTEST)
            reader = Reader(file, size)
            reader.skip_scalars("B", len(MAGIC))
            header = _read(path, reader, size, arrays)
    except OSError as error:
        raise ModelNotFound(
            "{path} cannot be read: {reason}", path=path, reason=error.strerror or error
        ) from None
    except CutOffError as cut:
        raise InvalidModel(
            "{name} is cut off: it has {size:,} bytes and needs at least {needed:,}: {advice}",
            name=path.name,
            size=size,
            needed=cut.needed,
            advice=_AGAIN,
        ) from None
    except DamagedError as damage:
        raise InvalidModel(
            "{name} is damaged: it claims {damage}, and has {size:,} bytes in all: {advice}",
            name=path.name,
            damage=damage,
            size=size,
            advice=_AGAIN,
        ) from None
    if header.needed_bytes > size:
        raise InvalidModel(
            "{name} is cut off: it has {size:,} bytes and needs {needed:,}: {advice}",
            name=path.name,
            size=size,
            needed=header.needed_bytes,
            advice=_AGAIN,
        )
    return header


def _file_size(path: Path) -> int:
    """Return the size of the file in bytes. Raises ModelNotFound."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            inside = sorted(p.name for p in path.iterdir() if p.suffix == ".gguf")
            if not inside:
                raise ModelNotFound(
                    "{path} is a folder, and a model is one .gguf file: it holds no .gguf file: "
                    "{advice}",
                    path=path,
                    advice=Message("name one"),
                )
            raise ModelNotFound(
                "{path} is a folder, and a model is one .gguf file: {advice}",
                path=path,
                advice=Message("name a file in it, such as {file}", file=path / inside[0]),
            )
    except FileNotFoundError:
        raise ModelNotFound(
            "there is no file {path}: {advice}", path=path, advice=Message("check the path")
        ) from None
    except (OSError, ValueError) as error:
        raise ModelNotFound(
            "{path} cannot be read: {error}", path=repr(str(path)), error=error
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelNotFound(
            "{path} is not a regular file: {advice}", path=path, advice=Message("name a .gguf file")
        )
    return status.st_size


def _not_gguf(path: Path, start: bytes, size: int) -> InvalidModel:
    """Return the error for a file that does not begin as a GGUF."""
    if not size:
        return InvalidModel(
            "{name} is empty: it has 0 bytes and needs at least {shortest}: {advice}",
            name=path.name,
            shortest=SHORTEST,
            advice=_AGAIN,
        )
    return InvalidModel(
        "{name} is not a GGUF file: its {size:,} bytes begin with {start} and not with {magic}: "
        "{advice}",
        name=path.name,
        size=size,
        start=repr(start),
        magic=repr(MAGIC),
        advice=Message("name a .gguf file, or convert the model to one"),
    )


def _read(path: Path, reader: Reader, size: int, arrays: Collection[str]) -> GgufHeader:
    """Read everything behind the magic number. Raises InvalidModel, CutOffError, DamagedError."""
    version = reader.number("I")
    if version and not version & 0xFFFF:
        raise InvalidModel(
            "{name} is a big-endian GGUF, for another kind of machine: {advice}",
            name=path.name,
            advice=Message("get the little-endian one"),
        )
    if version not in (2, 3):
        raise InvalidModel(
            "{name} is a GGUF of version {version}, and 2 and 3 can be read: {advice}",
            name=path.name,
            version=version,
            advice=Message("convert it anew"),
        )
    tensors, fields = reader.number("Q"), reader.number("Q")
    if tensors > MOST_TENSORS or fields > MOST_FIELDS:
        raise DamagedError(
            "{tensors:,} tensors and {fields:,} metadata fields", tensors=tensors, fields=fields
        )
    metadata: dict[str, Value] = {}
    for key, value in read_fields(reader, fields, arrays):
        if key in metadata:
            raise DamagedError("the field {key} twice", key=repr(key[:80]))
        metadata[key] = value
    parameters = end = 0
    tensor_bytes: Counter[str] = Counter()
    for tensor in read_tensors(reader, tensors):
        parameters += tensor.elements
        end = max(end, tensor.offset + tensor.size)
        if tensor.size:
            tensor_bytes[tensor.type] += tensor.size
    data = data_start(reader, metadata)
    needed = data + end if end else reader.position
    return GgufHeader(
        path, version, metadata, tensors, parameters, dict(tensor_bytes), needed, size
    )
