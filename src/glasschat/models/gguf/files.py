"""Files of a GGUF model: one, or several parts of a split model."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.gguf.header import GgufHeader, read_header

_QUANTIZATION = re.compile(r"[-._](?:I?Q\d\w*|B?F16|F32|MXFP4)$", re.IGNORECASE)
# The name of one file of a split model; llama.cpp finds the others by it.
_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")


def display_name(path: Path) -> str:
    """Return the file's name without suffix, part number and quantisation, as its user calls it.

    The name in the metadata is often that of a training run.
    """
    part = _PART.fullmatch(path.name)
    stem = part[1] if part else path.stem
    return _QUANTIZATION.sub("", stem) or stem


def split_files(path: Path) -> list[Path]:
    """Return the files of the model whose first file is `path`, existing or not."""
    part = _PART.fullmatch(path.name)
    if not part or int(part[2]) != 1:
        return [path]
    numbers = range(2, int(part[3]) + 1)
    return [path, *(path.with_name(f"{part[1]}-{n:05}-of-{part[3]}.gguf") for n in numbers)]


def read_model(path: Path | str) -> GgufHeader:
    """Read the header of the model at `path`; that of a split model counts all its files.

    Raises ModelNotFound or InvalidModel, also for a split model that is incomplete or that is not
    named by its first file.
    """
    header = read_header(path)
    count = header.metadata.get("split.count")
    if not isinstance(count, int) or count < 2:
        return header
    name = header.path.name
    part = _PART.fullmatch(name)
    if not part or int(part[3]) != count:
        raise InvalidModel(
            "{name} is one of the {count:,} files of a split model and its name does not end in "
            "-00001-of-{count:05}.gguf: {advice}",
            name=name,
            count=count,
            advice=Message(
                "give all of them their names back, or make them one file with "
                "llama-gguf-split --merge"
            ),
        )
    if int(part[2]) != 1:
        raise InvalidModel(
            "{name} is file {number} of {count:,} of a split model: {advice}",
            name=name,
            number=int(part[2]),
            count=count,
            advice=Message(
                "name the first, {stem}-00001-of-{digits}.gguf", stem=part[1], digits=part[3]
            ),
        )
    parts = [header]
    for other in split_files(header.path)[1:]:
        if not other.is_file():
            raise InvalidModel(
                "{missing} is missing: {name} is the first of {count:,} files of a split model: "
                "{advice}",
                missing=other.name,
                name=name,
                count=count,
                advice=Message("put all of them into {folder}", folder=header.path.parent),
            )
        parts.append(read_header(other))
    return replace(
        header,
        tensor_count=sum(p.tensor_count for p in parts),
        parameters=sum(p.parameters for p in parts),
        tensor_bytes=sum((Counter(p.tensor_bytes) for p in parts), Counter[str]()),
        needed_bytes=sum(p.needed_bytes for p in parts),
        file_bytes=sum(p.file_bytes for p in parts),
    )
