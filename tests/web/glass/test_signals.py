"""Bodies that the page sends are checked strictly, and what is wrong is said in one line."""

from typing import Any

import pytest

from glasschat.errors import InvalidMessage, ParameterError
from glasschat.glass import BestChanges, EntropyAbove, ProbabilityBelow, TextAppears
from glasschat.web.glass.params_patch import parse_patch
from glasschat.web.glass.signals import DebuggerSignal, StartOptionsBody, parse_body
from glasschat.web.glass.start_options import parse_start_options

A_BREAKPOINT = "a breakpoint has a kind that is not known, or no value"


def test_a_signal_has_its_defaults() -> None:
    signal = parse_body(DebuggerSignal, {"action": "step"})
    assert (signal.action, signal.count, signal.breakpoints) == ("step", 1, None)


def test_breakpoints_are_built() -> None:
    body = [
        {"kind": "probability", "value": 1},
        {"kind": "entropy", "value": 2.5},
        {"kind": "text", "value": "the end"},
        {"kind": "best"},
    ]
    found = parse_start_options({"paused": True, "breakpoints": body, "action": "begin"})
    assert found.paused
    assert found.breakpoints == (
        ProbabilityBelow(1.0),
        EntropyAbove(2.5),
        TextAppears("the end"),
        BestChanges(),
    )


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"action": "jump"}, "the debugger has no signal 'jump'"),
        ({}, "the debugger has no signal 'None'"),
        ({"action": ["step"]}, "the debugger has no signal \"['step']\""),
        ({"action": "step", "count": "many"}, "a whole number up to 100,000 is wanted, not 'many'"),
        ({"action": "step", "count": True}, "a whole number up to 100,000 is wanted, not 'True'"),
        ({"action": "step", "count": -1}, "a whole number up to 100,000 is wanted, not '-1'"),
        ({"action": "step", "count": 1.5}, "a whole number up to 100,000 is wanted, not '1.5'"),
        ({"action": "force"}, "a whole number up to 2,147,483,648 is wanted, not 'None'"),
        (
            {"action": "force", "token": 2**40},
            "a whole number up to 2,147,483,648 is wanted, not '1099511627776'",
        ),
        ({"action": "break", "breakpoints": "all"}, "breakpoints are a list of at most 20"),
        (
            {"action": "break", "breakpoints": [{"kind": "best"}] * 21},
            "breakpoints are a list of at most 20",
        ),
        ({"action": "break", "breakpoints": [{"kind": "other"}]}, A_BREAKPOINT),
        ({"action": "break", "breakpoints": [{"kind": "entropy"}]}, A_BREAKPOINT),
        ({"action": "break", "breakpoints": [{"kind": "text", "value": 3}]}, A_BREAKPOINT),
        ({"action": "break", "breakpoints": [None]}, A_BREAKPOINT),
    ],
)
def test_a_wrong_signal_is_refused_in_a_line(body: dict[str, Any], line: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        parse_body(DebuggerSignal, body)
    assert str(caught.value) == line


def test_a_value_out_of_range_is_refused_by_the_breakpoint() -> None:
    body = {"breakpoints": [{"kind": "probability", "value": 3}]}
    assert parse_body(StartOptionsBody, body).breakpoints
    with pytest.raises(ParameterError, match="limit must be a probability above 0"):
        parse_start_options(body)


@pytest.mark.parametrize("text", ["[]", "{", "3", "null"])
def test_a_patch_is_a_json_object(text: str) -> None:
    with pytest.raises(InvalidMessage, match=r"^the settings to ask about are no JSON object$"):
        parse_patch(text)
    assert parse_patch(None) == parse_patch("{}") == {}
