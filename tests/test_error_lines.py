"""Every line that an error can have, held to the letter.

`data/error_lines.json` has, for each template of the source, its class, example values and the line
that comes of them. The lines were written down before errors had templates: what a user reads on a
terminal, in the log or in an answer of the API is what it was then. A new error is a new row.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from glasschat import errors
from glasschat.messages import Message, field_names
from tests.support.error_sites import PARTS, all_error_sites, error_sites

ROWS: list[list[Any]] = json.loads(
    (Path(__file__).parent / "data" / "error_lines.json").read_text("utf-8")
)


def value(plain: Any) -> Any:
    """A value of a row; an object is a message in the place of it."""
    return message(plain["template"], plain["values"]) if isinstance(plain, dict) else plain


def message(template: str, values: dict[str, Any]) -> Message:
    return Message(template, **{name: value(plain) for name, plain in values.items()})


def lines(name: str, template: str, values: dict[str, Any]) -> set[str]:
    """The line in all ways in which it can be had."""
    kind = vars(errors).get(name)
    if name in PARTS or name == "ParameterError" or kind is None:
        return {str(message(template, values))}
    error = kind(template, **{name: value(plain) for name, plain in values.items()})
    return {str(error), error.message, f"{error}"}


def test_every_line_is_what_it_was() -> None:
    changed = [
        (template, found)
        for name, template, values, line in ROWS
        if (found := lines(name, template, values)) != {line}
    ]
    assert changed == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (errors.ParameterError("top_p", "less", 2.0), "top_p must be less, and 2.0 is not"),
        (
            errors.StageNotHere("mirror"),
            "the stage mirror is not here: turn it off, or start glasschat with --stage for it",
        ),
        (
            errors.PromptTooLong(3000, 1024, 4096),
            "the prompt is 3,000 tokens and at most 1,023 fit (max length 1,024, one kept for the "
            "reply): shorten it by 1,977 tokens, or raise max length, to 4,096 at most",
        ),
        (
            errors.PromptTooLong(3000, 1024, 1024),
            "the prompt is 3,000 tokens and at most 1,023 fit (context 1,024, one kept for the "
            "reply): shorten it by 1,977 tokens",
        ),
        (
            errors.PromptTooLong(8, 8),
            "the prompt is 8 tokens and at most 7 fit (max length 8, one kept for the reply): "
            "shorten it by 1 tokens",
        ),
    ],
)
def test_a_line_of_a_class_of_its_own_is_what_it_was(
    error: errors.GlasschatError, line: str
) -> None:
    assert str(error) == line


def test_every_template_of_the_source_has_a_row_and_every_row_its_template() -> None:
    sites = {(site.name, site.template) for site in all_error_sites() if site.template is not None}
    rows = {(name, template) for name, template, *_ in ROWS}
    assert sites - rows == set(), "new: add a row to tests/data/error_lines.json"
    assert rows - sites == set(), "gone or changed"


def test_every_template_has_the_values_that_it_names() -> None:
    """A pair that does not fit would be seen by a user, not by a type checker."""
    for site in all_error_sites():
        if site.template is None or site.name == "ParameterError" or "**" in site.values:
            continue
        if not site.values:
            assert "{" not in site.template and "}" not in site.template, site
            continue
        assert field_names(site.template) == set(site.values), site


def test_no_line_is_put_together_before_it_is_given_to_an_error() -> None:
    """Such a line is in no catalogue: it has to be a template and its values."""
    assert [site for site in all_error_sites() if site.is_formatted] == []


def test_sites_are_found_in_every_form() -> None:
    found = list(
        error_sites(
            'raise QueueFull("{n:,} of {most}", n=3, most=Message("eight"))\n'
            'raise errors.ParameterError(Message("the name of {x}", x=x), "less", 3)\n'
            'raise InvalidModel(f"{name} is cut off")\n'
            "raise ReplyFailed(snapshot.error)\n"
            'raise ValueError("not ours")\n'
        )
    )
    assert {(site.name, site.template, site.values, site.is_formatted) for site in found} == {
        ("QueueFull", "{n:,} of {most}", ("n", "most"), False),
        ("Message", "eight", (), False),
        ("ParameterError", "less", (), False),
        ("Message", "the name of {x}", ("x",), False),
        ("InvalidModel", None, (), True),
        ("ReplyFailed", None, (), False),
    }
