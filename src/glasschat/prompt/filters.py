"""Filters that a chat template may use, each with its result measured.

Every function here runs inside a render and finds its `meter` in the context.
"""

import json
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import filters
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Undefined
from jinja2.utils import pass_context

from glasschat.prompt.render_limits import LimitExceeded, Meter

meter: ContextVar[Meter] = ContextVar("meter")

_PLAIN = (str, int, float, type(None), Undefined, list, tuple, dict)
# What real chat templates use. What is not here can make much of little (center, batch) or has
# no place in a prompt (random, urlize): a template that asks for it is refused by that name.
_STOCK = """
abs attr capitalize count d default dictsort e escape first float groupby int items last length
lower map max min reject rejectattr reverse safe select selectattr sort title trim truncate
unique upper
"""


def print_value(value: object) -> str:
    """Return `value` as a template prints it. Raises SecurityError for a kind that has no text."""
    if isinstance(value, str):
        return value
    if not isinstance(value, _PLAIN):
        raise SecurityError(f"a {type(value).__name__} cannot be written into a prompt")
    meter.get().count_value(value)
    return str(value)


@pass_context
def finalize(context: Context, value: object) -> str:
    """Return what an output tag prints.

    It takes the context only so that Jinja does not evaluate constants while it compiles.
    """
    return print_value(value)


def tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Return JSON as transformers' chat templates expect it: without HTML escapes."""
    width = indent or 0
    if not isinstance(width, int) or width > 16 or len("".join(separators or ())) > 16:
        raise SecurityError("tojson takes an indent of at most 16 and separators as short")
    meter.get().spend(meter.get().size(value) * 2)
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def replace(value: object, old: object, new: object, count: int | None = None) -> str:
    """Apply Jinja's `replace`. Raises LimitExceeded where it would make too much."""
    text, before, after = print_value(value), print_value(old), print_value(new)
    meter.get().replace(text, before, after)
    return text.replace(before, after, -1 if count is None else count)


def indent(value: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """Apply Jinja's `indent`, by at most 100 characters."""
    if (width if isinstance(width, int) else len(width)) > 100:
        raise LimitExceeded("indents by more than 100 characters")
    meter.get().spend(len(value) + 101 * (1 + len(value.splitlines())))
    return filters.do_indent(value, width, first, blank)


def join(values: Iterable[Any], separator: object = "", attribute: str | None = None) -> str:
    """Apply Jinja's `join`, within the limits."""
    if attribute is not None:
        raise SecurityError("join takes no attribute here: map it first")
    return print_value(separator).join(to_texts(print_value(separator), values))


def to_texts(separator: str, values: Iterable[Any]) -> list[str]:
    """Return `values` as texts, if joining them with `separator` stays within the limits."""
    gathered = [print_value(value) for value in meter.get().collect(values)]
    meter.get().spend(len(separator) * len(gathered))
    return gathered


def to_list(values: Iterable[Any]) -> list[Any]:
    """Apply Jinja's `list`, within the limits."""
    return meter.get().collect(values)


def percent_format(pattern: str, *values: object, **named: object) -> str:
    """Apply Jinja's `format`, without wide padding."""
    meter.get().percent(print_value(pattern), [print_value(v) for v in (*values, *named.values())])
    return str(pattern) % (named or values)


def count_value(value: object) -> object:
    """Count `value` against the limits and return it."""
    meter.get().count_value(value)
    return value


def concat(values: Iterable[object]) -> str:
    """Join the texts of `values`, within the limits."""
    parts = [print_value(value) for value in values]
    meter.get().spend(sum(map(len, parts)))
    return "".join(parts)


def with_result_counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `function` so that its result is counted."""

    # Keeps the mark by which Jinja knows whether to pass its context.
    @wraps(function)
    def measured(*arguments: Any, **named: Any) -> Any:
        return count_value(function(*arguments, **named))

    return measured


def allowed_filters() -> dict[str, Callable[..., Any]]:
    """Return every filter by its name in a template; two more serve `~`, slices and displays."""
    chosen: dict[str, Callable[..., Any]] = {name: filters.FILTERS[name] for name in _STOCK.split()}
    chosen |= {"tojson": tojson, "replace": replace, "indent": indent, "join": join}
    chosen |= {"list": to_list, "string": print_value, "format": percent_format}
    return {name: with_result_counted(function) for name, function in chosen.items()} | {
        "_concat": concat,
        "_charged": count_value,
    }
