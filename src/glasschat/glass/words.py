"""Sentences of the glass box: templates and values, which pages translate."""

from collections.abc import Mapping
from dataclasses import dataclass, field


def N_(text: str) -> str:  # noqa: N802 - the mark by which translations are collected
    """Mark a template for extraction into the catalogues of translations."""
    return text


@dataclass(frozen=True, slots=True)
class Sentence:
    """A template with its values by name, as `str.format` and a page's `_` take them."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.template.format(**self.values)
