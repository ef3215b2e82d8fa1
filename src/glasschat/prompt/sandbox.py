"""Jinja sandbox for chat templates of strangers, with limits.

Jinja's immutable sandbox keeps a template from Python's internals; it limits neither time nor
memory. Here every expression that can make something large is measured before or after, and a
deadline stops loops. `render_limits` has the numbers.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from glasschat.prompt.filters import (
    allowed_filters,
    concat,
    count_value,
    finalize,
    meter,
    print_value,
    to_texts,
)
from glasschat.prompt.render_limits import RANGE_LENGTH, LimitExceeded

FILENAME = "<template>"
_METHODS = """
capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower
isnumeric isspace istitle isupper join lower lstrip partition removeprefix removesuffix replace
rfind rindex rpartition rsplit rstrip split splitlines startswith strip swapcase title upper
"""
_TEXT_METHODS = frozenset(_METHODS.split())


class Refused(jinja2.TemplateError):
    """The template called raise_exception: it does not accept these messages."""


def _raise_exception(message: object) -> NoReturn:
    """Raise Refused with the template's own message."""
    raise Refused(str(message))


def _strftime_now(pattern: str) -> str:
    """Return the time now by `pattern`, which is short and has no field widths."""
    if len(pattern) > 100 or any(character.isdigit() for character in pattern):
        raise SecurityError("strftime_now takes at most 100 characters and no field widths")
    return datetime.now().strftime(pattern)


def _range(*arguments: int) -> range:
    """Return a range of limited length."""
    numbers = range(*arguments)
    # Not len(): it overflows for the largest ranges.
    if numbers and abs(numbers[-1] - numbers[0]) // abs(numbers.step) >= RANGE_LENGTH:
        raise LimitExceeded("counts further than {most:,} in a range", most=RANGE_LENGTH)
    return numbers


# Functions in place of the classes, whose own attributes would be within reach.
def _dict(*arguments: Any, **entries: Any) -> dict[Any, Any]:
    """Build a dict; a function, so that a template cannot reach the class."""
    return dict(*arguments, **entries)


def _namespace(*arguments: Any, **entries: Any) -> Namespace:
    """Build a Namespace; a function, so that a template cannot reach the class."""
    return Namespace(*arguments, **entries)


class _Measure(NodeTransformer):
    """Sends what Jinja compiles to plain Python through the meter: `~`, slices, displays."""

    def _through(self, name: str, node: nodes.Expr) -> nodes.Filter:
        return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self._through("_concat", nodes.Tuple(node.nodes, "load", lineno=node.lineno))

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self._through("_charged", node) if isinstance(node.arg, nodes.Slice) else node

    def visit_List(self, node: nodes.List | nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        constant = all(isinstance(item, nodes.Const) for item in node.items)
        return node if constant else self._through("_charged", node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        return self.visit_List(node) if node.ctx == "load" else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return self._through("_charged", node)


class _Generation(Extension):
    """Implements `{% generation %}`, which marks the assistant's part for training."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Drop the tag, keep its body."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Sandbox(ImmutableSandboxedEnvironment):
    """The Jinja environment of chat templates. Every render needs a `meter` in its context."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _Generation],
            optimized=False,
            finalize=finalize,
            cache_size=0,
        )
        self.filters = allowed_filters()
        self.globals = {
            "range": _range,
            "dict": _dict,
            "namespace": _namespace,
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
        }
        self.concat: Any = concat

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        measured: nodes.Template = _Measure().visit(tree)
        measured.set_environment(self)
        return measured

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether an attribute is harmless in meaning and in size."""
        if isinstance(obj, str):
            return attr in _TEXT_METHODS
        if isinstance(obj, (int, float)):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Leave str.format to `is_safe_attribute`, which refuses it."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """Raise SecurityError at once: Jinja itself would print nothing in this place."""
        raise SecurityError(f"it may not read {attribute!r} of a {type(obj).__name__}")

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls, with its arguments and its result measured."""
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str) and obj.__name__ == "replace" and len(args) > 1:
            meter.get().replace(owner, print_value(args[0]), print_value(args[1]))
        elif isinstance(owner, str) and obj.__name__ == "join" and args:
            args = (to_texts(owner, args[0]),)
        return count_value(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute `left operator right`, if the result is not too large."""
        if operator == "*":
            meter.get().multiply(left, right)
        elif operator == "**":
            meter.get().power(left, right)
        elif operator == "%" and isinstance(left, str):
            values = right.values() if isinstance(right, Mapping) else right
            listed = values if isinstance(values, tuple) else (values,)
            meter.get().percent(left, [print_value(value) for value in listed])
        return count_value(super().call_binop(context, operator, left, right))
