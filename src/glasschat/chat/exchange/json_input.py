"""JSON that somebody else wrote: parsed within bounds of size and depth.

What the values have to be is said by the models, `file_model.py`.
"""

import json
from typing import Any, NoReturn

from glasschat.errors import InvalidImport
from glasschat.messages import Message

MOST_BYTES = 256 * 2**20


def parse_json(data: bytes, most_bytes: int = MOST_BYTES) -> Any:
    """Parse a file of JSON, or of JSON Lines as the list of its lines.

    Raises InvalidImport for more than `most_bytes`, and for what is no JSON in UTF-8.
    """
    if len(data) > most_bytes:
        raise InvalidImport(
            "the file has {count:,.0f} MB and at most {most_bytes:,.0f} are read: split it",
            count=len(data) / 2**20,
            most_bytes=most_bytes / 2**20,
        )
    try:
        text = data.decode("utf-8-sig")
        try:
            return _loads(text)
        except json.JSONDecodeError as error:
            # JSON Lines: the first line is a whole value, and more follows.
            lines = [line for line in text.splitlines() if line.strip()]
            if error.msg != "Extra data" or len(lines) < 2:
                raise
            return [_loads(line) for line in lines]
    except UnicodeDecodeError:
        raise InvalidImport("the file is not text in UTF-8: choose a JSON file") from None
    except json.JSONDecodeError as error:
        where = Message("line {line}, column {column}", line=error.lineno, column=error.colno)
        raise InvalidImport(
            "the file is no JSON ({where}: {msg})", where=where, msg=error.msg
        ) from None
    except (RecursionError, ValueError):
        raise InvalidImport(
            "the file is nested too deep, or holds a number that nothing can: it is no chat"
        ) from None


def parse_json_line(line: bytes) -> Any:
    """Parse the JSON of one line. Raises InvalidImport."""
    try:
        return _loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidImport("it is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidImport(
            "it is no JSON (column {colno}: {msg})", colno=error.colno, msg=error.msg
        ) from None
    except (RecursionError, ValueError):
        raise InvalidImport("it is nested too deep, or holds a number that nothing can") from None


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(constant: str) -> NoReturn:
    """Refuse NaN and infinities, which Python's parser takes and JSON does not have."""
    raise ValueError(constant)
