"""Bounded reading of JSON files that strangers wrote."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glasschat.errors import InvalidModel, ModelNotFound
from glasschat.messages import Message

# No real file comes near these. What is read takes up to thirty times its length in memory.
CONFIG_BYTES = 4 << 20
INDEX_BYTES = 32 << 20
TOKENIZER_BYTES = 128 << 20


def read_object(path: Path, max_bytes: int = CONFIG_BYTES) -> dict[str, Any] | None:
    """Read the JSON object in the file at `path`; None when there is no such file.

    Raises InvalidModel when it is something else, damaged or longer than `max_bytes`,
    ModelNotFound when it cannot be read.
    """
    data = read_bytes(path, max_bytes)
    return None if data is None else parse_object(data, path.name)


def read_bytes(path: Path, max_bytes: int) -> bytes | None:
    """Read all of the file at `path`; None when there is none.

    Raises InvalidModel for more than `max_bytes`, ModelNotFound when it cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InvalidModel(
                "{name} is not a regular file: {advice}",
                name=path.name,
                advice=Message("download or copy it again"),
            )
        if status.st_size > max_bytes:
            raise InvalidModel(
                "{name} has {size:,} bytes and at most {max_bytes:,} are read: it is not what "
                "its name says",
                name=path.name,
                size=status.st_size,
                max_bytes=max_bytes,
            )
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ModelNotFound(
            "{path} cannot be read: {reason}", path=path, reason=error.strerror or error
        ) from None


def parse_object(data: bytes, name: str) -> dict[str, Any]:
    """Parse `data` as a JSON object. Raises InvalidModel, which calls it `name`."""
    try:
        document = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidModel(
            "{name} is not text in UTF-8: {advice}",
            name=name,
            advice=Message("download or copy it again"),
        ) from None
    except RecursionError:
        raise InvalidModel(
            "{name} is nested too deep: it is no file of a model", name=name
        ) from None
    except ValueError as error:
        words = " ".join(str(error)[:200].split())
        raise InvalidModel(
            "{name} is not valid JSON ({words}): {advice}",
            name=name,
            words=words,
            advice=Message("download or copy it again"),
        ) from None
    if not isinstance(document, dict):
        raise InvalidModel(
            "{name} holds a JSON {type} and not an object: it is no file of a model",
            name=name,
            type=type(document).__name__,
        )
    return document


def entries(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key of every object in `document` with its value, at any depth."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
