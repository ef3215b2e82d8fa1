"""Stages that the server was given: a request names them, and none runs unasked."""

from collections.abc import Iterator
from typing import Any

import pytest

from glasschat.models.scripted import reply_script, scripted_model
from glasschat.sampling import DEFAULT_ORDER, StageClasses
from tests.api.serving import Served, served
from tests.support.own_stages import Half, Letters, Wrong

CLASSES = StageClasses.of([Letters, Half, Wrong])
PLAIN: dict[str, Any] = {"temperature": 0, "glass": True}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(scripted_model(reply_script("abc")), stage_classes=CLASSES) as server:
        yield server


def stages_of(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    (choice,) = answer.json()["choices"]
    return [stage["name"] for stage in choice["glass"][0]["stages"]]


def test_a_request_names_the_stages_that_it_wants(server: Served) -> None:
    assert stages_of(server.chat(**PLAIN)) == []
    wanted = {"letters": {"by": 1}, "half": {}}
    assert stages_of(server.chat(**PLAIN, own_stages=wanted)) == ["letters"]
    order = ["half", *DEFAULT_ORDER, "letters"]
    sampled = {"temperature": 0.9, "glass": True, "own_stages": wanted, "stages": order}
    assert stages_of(server.chat(**sampled)) == ["half", "temperature", "letters"]


@pytest.mark.parametrize(
    ("own_stages", "param", "said"),
    [
        ({"gone": {}}, "own_stages", "the stage gone is not here"),
        ({"letters": {"by": 99}}, "own_stages.letters.by", "must be a number between 0 and 50"),
        ({"letters": {"volume": 1}}, "own_stages.letters", "must be set by by, case"),
        ({"letters": {"by": None}}, "own_stages.letters.by", "input should be"),
        ({"letters": 1}, "own_stages.letters", "object"),
    ],
)
def test_what_no_stage_takes_is_refused_by_its_place(
    server: Served, own_stages: Any, param: str, said: str
) -> None:
    answer = server.chat(own_stages=own_stages)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert said in error["message"]


def test_one_that_fails_is_told_with_its_message(server: Served) -> None:
    answer = server.chat(own_stages={"wrong": {}})
    assert answer.status_code == 500
    assert "the stage wrong failed: KeyError" in answer.json()["error"]["message"]
    assert server.chat().status_code == 200
