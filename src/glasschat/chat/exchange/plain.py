"""Values out of somebody else's JSON: of the right kind and of a bearable size, or refused."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from glasschat.errors import InvalidImport

MOST_BYTES = 256 * 2**20
MOST_TURNS = 100_000
LONGEST_TEXT = 8_000_000
LATEST_MS = 2**53


def parsed(data: bytes, most_bytes: int = MOST_BYTES) -> Any:
    """The JSON, or the list of the lines of JSON Lines. Raises InvalidImport."""
    if len(data) > most_bytes:
        raise InvalidImport(
            f"the file has {len(data) / 2**20:,.0f} MB and at most {most_bytes / 2**20:,.0f} are "
            f"read: split it"
        )
    try:
        text = data.decode("utf-8-sig")
        try:
            return _loads(text)
        except json.JSONDecodeError as error:
            # JSON Lines: its first line is a whole of its own, and more follows.
            lines = [line for line in text.splitlines() if line.strip()]
            if error.msg != "Extra data" or len(lines) < 2:
                raise
            return [_loads(line) for line in lines]
    except UnicodeDecodeError:
        raise InvalidImport("the file is not text in UTF-8: choose a JSON file") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidImport(f"the file is no JSON ({where}: {error.msg})") from None
    except (RecursionError, ValueError):
        raise InvalidImport(
            "the file is nested too deep, or holds a number that nothing can: it is no chat"
        ) from None


def line_parsed(line: bytes) -> Any:
    """The JSON of one line. Raises InvalidImport."""
    try:
        return _loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidImport("it is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidImport(f"it is no JSON (column {error.colno}: {error.msg})") from None
    except (RecursionError, ValueError):
        raise InvalidImport("it is nested too deep, or holds a number that nothing can") from None


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def text_of(plain: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text. Raises InvalidImport."""
    value = plain.get(name, default)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise InvalidImport(f"{name} is no text of at most {LONGEST_TEXT:,} characters")
    if not encodable(value):
        raise InvalidImport(f"{name} holds half a character that no encoding carries")
    return value


def whole_of(plain: Mapping[str, Any], name: str, high: int, default: int | None = None) -> int:
    """A whole number from 0 to `high`. Raises InvalidImport."""
    value = plain.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
        raise InvalidImport(f"{name} is no whole number from 0 to {high:,}")
    return value


def number_of(plain: Mapping[str, Any], name: str) -> float | None:
    """A finite number, or none. Raises InvalidImport."""
    value = plain.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidImport(f"{name} is no number")
    if (isinstance(value, int) and abs(value) > LATEST_MS) or not math.isfinite(value):
        raise InvalidImport(f"{name} is no number of a bearable size")
    return float(value)


def mapping_of(value: Any, name: str) -> Mapping[str, Any]:
    """An object. Raises InvalidImport."""
    if not isinstance(value, Mapping):
        raise InvalidImport(f"{name} is no object with names")
    return value


def list_of(value: Any, name: str, most: int = MOST_TURNS) -> list[Any]:
    """A list of bearable length. Raises InvalidImport."""
    if not isinstance(value, list) or len(value) > most:
        raise InvalidImport(f"{name} is no list of at most {most:,} entries")
    return value


def encodable(text: str) -> bool:
    """Whether the text has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def mended(text: str) -> str:
    """The text with halves of characters joined, or replaced where the other half is missing."""
    if encodable(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def milliseconds(seconds: Any) -> int:
    """Seconds since 1970, as other programs have them, in milliseconds; 0 for anything else."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return 0
    if not 0 <= seconds <= LATEST_MS / 1000:  # a NaN is not, either
        return 0
    return round(seconds * 1000)
