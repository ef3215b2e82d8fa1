"""A message is its line, and keeps what the line was made from."""

import copy
import json
import pickle
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat import messages
from glasschat.errors import (
    GlasschatError,
    ParameterError,
    PromptTooLong,
    QueueFull,
    ReplyFailed,
    StageNotHere,
)
from glasschat.messages import MOST_VALUES, Message, fill, restore_message

ANY_TEXT = st.text(st.characters())
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT


class Colour(Enum):
    RED = 1


class Kind(StrEnum):
    WARPER = "warper"


def test_a_message_is_its_line() -> None:
    message = Message("{waiting:,} of {most} wait", waiting=1234, most=8)
    assert message == "1,234 of 8 wait" and isinstance(message, str)
    assert f"{message}!" == "1,234 of 8 wait!" and json.dumps(message) == '"1,234 of 8 wait"'
    assert message.template == "{waiting:,} of {most} wait"
    assert message.values == {"waiting": 1234, "most": 8}
    assert type(str(message)) is str


def test_a_template_without_values_is_taken_as_it_stands() -> None:
    assert Message('write {"role": {}') == 'write {"role": {}'


@given(ANY_TEXT)
def test_a_value_is_never_formatted_itself(text: str) -> None:
    assert Message("[{text}]", text=text) == f"[{text}]"
    assert Message("{outer}", outer=Message("[{text}]", text=text)) == f"[{text}]"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Path("a") / "b", "a/b"),
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (Kind.WARPER, "warper"),
        (Colour.RED, "Colour.RED"),
        (OSError("no"), "no"),
        ([1, 2], "[1, 2]"),
        (2**3000, 2**3000),
        (None, None),
        (True, True),
    ],
)
def test_values_are_kept_as_text_and_numbers(value: object, kept: object) -> None:
    message = Message("{value}", value=value)
    assert message == f"{value}"
    assert message.values["value"] == kept and type(message.values["value"]) is type(kept)


def test_later_changes_of_a_value_do_not_reach_the_message() -> None:
    growing = [1]
    message = Message("{growing}", growing=growing)
    growing.append(2)
    assert message.values["growing"] == "[1]"
    with pytest.raises(TypeError):
        message.values["growing"] = "[1, 2]"  # type: ignore[index]


def test_a_value_whose_text_cannot_be_had_does_no_harm() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert Message("{value}", value=Broken()) == "<Broken>"


def test_an_error_within_another_brings_its_message() -> None:
    inner = QueueFull("{waiting} wait", waiting=9)
    outer = ReplyFailed("it failed: {error}", error=inner)
    assert str(outer) == "it failed: 9 wait"
    assert outer.message.values["error"].template == "{waiting} wait"  # type: ignore[union-attr]
    assert ReplyFailed(inner.message).message is inner.message


def test_what_is_within_is_translated_too() -> None:
    words = {"it failed: {error}": "Es ging schief: {error}", "{n:,} wait": "{n:,} warten"}
    message = Message("it failed: {error}", error=Message("{n:,} wait", n=1234))
    assert message.render(lambda template: words.get(template, template)) == (
        "Es ging schief: 1,234 warten"
    )


def test_a_pair_that_does_not_fit_is_still_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a user's screen; in tests it raises, see `conftest.py`."""
    with pytest.raises(AssertionError, match="does not fit"):
        Message("{waiting:,} wait", waiting="nine")
    monkeypatch.undo()
    monkeypatch.setattr(messages, "_fill_anyway", REAL_FILL_ANYWAY)
    for values in ({"waiting": "nine"}, {"other": 9}):
        line = str(QueueFull("{waiting:,} wait", **values))
        assert line.startswith("{waiting:,} wait") and str(*values.values()) in line
    assert fill("{", {"n": 1}) == "{ (n = 1)"
    assert Message("{n:,}", n=10**5000).startswith("{n:,} (n = 0x")


@pytest.mark.parametrize(
    "error",
    [
        QueueFull("{waiting:,} of {{8}} wait {more}", waiting=9, more=Message("{x}", x="{y}")),
        QueueFull("plain {"),
        ParameterError("top_p", "less", 2.0),
        PromptTooLong(3000, 1024, 4096),
        StageNotHere("mirror"),
    ],
)
def test_errors_can_be_pickled_and_copied(error: GlasschatError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error) and str(again) == str(error)
        assert again.message.to_json() == error.message.to_json()
        assert again.__dict__ == error.__dict__


def test_errors_keep_what_their_classes_have() -> None:
    wrong = ParameterError("top_p", Message("at most {most:g}", most=1.0), 2.0)
    assert (wrong.name, wrong.allowed, wrong.value) == ("top_p", "at most 1", 2.0)
    assert wrong.message.values["allowed"].template == "at most {most:g}"  # type: ignore[union-attr]
    long = PromptTooLong(3000, 1024, 4096)
    assert (long.needed, long.limit, long.context) == (3000, 1024, 4096)


@given(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), VALUES)
def test_a_message_survives_json(values: dict[str, Any], inner: object) -> None:
    template = " ".join(f"{{{name}}}" for name in values) + " and {inner}"
    message = Message(template, **values, inner=Message("<{x}>", x=inner))
    text = json.dumps(message.to_json(), allow_nan=False)
    again = restore_message(str(message), json.loads(text))
    assert again == message
    assert isinstance(again, Message) and again.to_json() == json.loads(text)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        "nine wait",
        [],
        {},
        {"template": "nine wait"},
        {"template": "{n} wait", "values": {}},
        {"template": "{n} wait", "values": {"n": "eight"}},
        {"template": "{n} wait", "values": {"n": ["nine"]}},
        {"template": "{n} wait", "values": {"n": "nine", "more": 1}},
        {"template": "{n.__class__} wait", "values": {"n": "nine"}},
        {"template": "{n[0]} wait", "values": {"n": "nine"}},
        {"template": "{n!r} wait", "values": {"n": "nine"}},
        {"template": "{n:>999999999999}", "values": {"n": "nine"}},
        {"template": "{n:{width}}", "values": {"n": "nine", "width": 10**12}},
        {"template": "{n", "values": {"n": "nine"}},
        {"template": "{n:,}", "values": {"n": "nine"}},
        {"template": "{n}", "values": {1: "nine"}},
        {"template": "{n}", "values": {"n": {"template": "{n}", "values": {}}}},
        {"template": "x" * 3000, "values": {"n": "nine"}},
        {"template": "{n}", "values": {f"n{i}": i for i in range(MOST_VALUES + 1)}},
    ],
)
def test_what_does_not_give_the_line_is_not_restored(plain: object) -> None:
    line = restore_message("nine wait", plain)
    assert line == "nine wait" and not isinstance(line, Message)


def test_what_goes_too_deep_is_not_restored() -> None:
    plain: dict[str, Any] = {"template": "nine wait", "values": {}}
    for _ in range(50):
        plain = {"template": "{n}", "values": {"n": plain}}
    assert not isinstance(restore_message("nine wait", plain), Message)


REAL_FILL_ANYWAY = messages._fill_anyway
