"""What the glass box's page is answered, without a browser: by the program's own routes."""

import json
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from glasschat.backends import LocalBackend
from glasschat.chat import Conversation, Library, Settings
from glasschat.chat.exchange import lines_of, read_trace
from glasschat.chat.user_presets import UserPresets
from glasschat.engine import StartOptions
from glasschat.sampling import SamplingParams, StageClasses
from glasschat.web.glass.box_keys import BoxKeys, Subject
from glasschat.web.glass.routes import VERSION, routes
from glasschat.web.site import Site, set_site
from tests.support.models import real_model
from tests.support.own_stages import Half

ME = "me"
SETTINGS = Settings(SamplingParams(seed=7, max_new_tokens=24), system="Be brief.")


@pytest.fixture(scope="module")
def site(builtin_model_path: Path) -> Iterator[Site]:
    """The built-in model, and conversations that nothing keeps."""
    model = real_model(builtin_model_path, slots=3)
    classes = StageClasses.of([Half])
    with LocalBackend(lambda _: model, name="glass", stage_classes=classes) as backend:
        backend.load()
        yield Site(backend, Library(), UserPresets())


@pytest.fixture(scope="module")
def page(site: Site) -> TestClient:
    """Whoever asks."""
    set_site(site)
    return TestClient(Starlette(routes=routes))


@pytest.fixture(scope="module")
def conversation(site: Site) -> Conversation:
    """One question with control pieces in it, answered."""
    found = site.library.new(ME)
    found.ask(site.backend, "Why is the sky <|im_end|> blue?", SETTINGS).result(60)
    return found


@pytest.fixture(scope="module")
def box(site: Site, conversation: Conversation) -> str:
    """The address of the box on its reply."""
    last = conversation.tree.last
    assert last is not None
    return f"/glass/box/{site.box_keys.open(Subject(ME, conversation.id, last.id))}"


def answer(page: TestClient, address: str, **asked: Any) -> dict[str, Any]:
    """What is answered to a question that can be answered."""
    response = page.get(address, params=asked)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_tokens_are_the_reply(page: TestClient, box: str, conversation: Conversation) -> None:
    found = answer(page, f"{box}/tokens")
    last = conversation.tree.last
    assert last is not None
    assert found["state"] == "finished"
    assert found["ids"][: len(last.ids or ())] == list(last.ids or ())
    assert "".join(name for name in found["tokens"] if isinstance(name, str)).startswith(last.text)
    lengths = {len(found[name]) for name in ("tokens", "ids", "rank", "probability", "change")}
    assert lengths == {found["count"]}
    rest = answer(page, f"{box}/tokens", **{"from": 5})
    assert rest["ids"] == found["ids"][5:]
    assert rest["probability"] == found["probability"][5:]
    assert rest["forced"] == [] and rest["ends"] == found["ends"]


def test_the_waterfall_agrees_with_the_tokens(page: TestClient, box: str) -> None:
    tokens = answer(page, f"{box}/tokens")
    waterfall_json = answer(page, f"{box}/waterfall", place=4)
    assert waterfall_json["id"] == tokens["ids"][4]
    assert waterfall_json["probability"] == pytest.approx(tokens["probability"][4], rel=1e-3)
    assert [column["name"] for column in waterfall_json["columns"]] == [
        "raw", "repetition_penalty", "temperature", "top_p",
    ]  # fmt: skip
    chosen = next(row for row in waterfall_json["candidates"] if row["chosen"])
    low, high = chosen["interval"]
    assert low <= waterfall_json["u"] < high
    assert waterfall_json["before"]["reply_length"] == 4
    colder = answer(page, f"{box}/waterfall", place=4, changes='{"temperature": 0.1}')
    assert colder["columns"][2]["value"] == 0.1


def test_the_same_settings_would_have_changed_nothing(page: TestClient, box: str) -> None:
    same = answer(page, f"{box}/what-if", changes="{}")
    assert (same["first"], same["places"], same["exact"]) == (None, [], True)
    other = answer(page, f"{box}/what-if", changes='{"do_sample": false}')
    assert other["first"] == other["places"][0][0]
    shorter = answer(page, f"{box}/what-if", changes='{"seed": 8}')
    assert shorter["places"]


@pytest.mark.parametrize(
    ("asked", "status", "named"),
    [
        ("what-if?changes={", 404, "JSON"),
        ('what-if?changes={"temperature":-1}', 400, "Temperature"),
        ('what-if?changes={"colour":1}', 404, "colour"),
        ("waterfall?place=9999", 404, "10000"),
        ("waterfall?place=-1", 404, "Place"),
        ("tokens?from=x", 404, "From"),
        ("compare?turns=a,b", 404, "same question"),
        ("compare?turns=a", 404, "Two to 4"),
    ],
)
def test_wrong_questions_are_told_so(
    page: TestClient, box: str, asked: str, status: int, named: str
) -> None:
    response = page.get(f"{box}/{asked}")
    assert response.status_code == status
    assert named in response.json()["error"]


def test_a_key_that_was_not_handed_out_opens_nothing(page: TestClient, box: str) -> None:
    for path in (
        "tokens",
        "waterfall?place=0",
        "prompt",
        "setting-effects",
        "siblings",
        "debugger-state",
    ):
        response = page.get(f"/glass/box/{'x' * 32}/{path}")
        assert response.status_code == 404
        assert "open it again" in response.json()["error"]
    assert page.get(f"/glass/box/{'x' * 32}/trace").status_code == 404
    assert (
        page.post(f"/glass/box/{'x' * 32}/debugger-signal", json={"action": "cancel"}).status_code
        == 404
    )


def test_answers_are_in_the_language_of_who_asks(page: TestClient, box: str) -> None:
    told = page.get(f"{box}/waterfall?place=1", headers={"accept-language": "zh-CN"}).json()
    assert any("模型" in said for said in told["story"])
    chosen = page.get(
        f"{box}/waterfall?place=1",
        headers={"accept-language": "zh-CN", "cookie": "glasschat_language=en"},
    )
    assert any("model" in said for said in chosen.json()["story"])


def test_control_pieces_in_content_are_shown_as_text(page: TestClient, box: str) -> None:
    found = answer(page, f"{box}/prompt")
    assert [piece for piece, _start, _end in found["pieces"]] == ["<|im_end|>"]
    piece, start, end = found["pieces"][0]
    assert "".join(found["tokens"][start:end]).strip() == piece
    assert end - start > 1
    assert found["spans"][0][0] == 0 and found["spans"][-1][1] == len(found["ids"])
    assert {origin for _s, _e, origin, _m in found["spans"]} == {"template", "system", "user"}


def test_the_record_can_be_saved(page: TestClient, box: str) -> None:
    response = page.get(f"{box}/trace")
    assert response.headers["content-disposition"].startswith("attachment")
    read = read_trace(lines_of(BytesIO(response.content)))
    tokens = answer(page, f"{box}/tokens")
    assert list(read.trace.token_ids) == tokens["ids"]
    assert read.pieces


def test_the_debugger_pauses_steps_and_forces_tokens(site: Site, page: TestClient) -> None:
    conversation = site.library.new(ME)
    generation = conversation.ask(
        site.backend, "Count to ten.", SETTINGS, start_options=StartOptions(paused=True)
    )
    last = conversation.tree.last
    assert last is not None
    key = site.box_keys.open(Subject(ME, conversation.id, last.id))

    def steer(**asked: Any) -> dict[str, Any]:
        response = page.post(f"/glass/box/{key}/debugger-signal", json=asked)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def until_paused(**asked: Any) -> dict[str, Any]:
        """As the page does: an answer waits two seconds at most, and a busy machine needs more."""
        found, end = steer(**asked), time.monotonic() + 60
        while found["preview"] is None and time.monotonic() < end:
            found = answer(page, f"/glass/box/{key}/debugger-state")
        return found

    first = until_paused(action="pause")
    assert first["state"] == "paused"
    other = first["preview"]["candidates"][1]["id"]
    second = until_paused(action="force", token=other)
    assert second["preview"]["place"] == 1
    assert until_paused(action="step", count=3)["preview"]["place"] == 4
    tokens = answer(page, f"/glass/box/{key}/tokens")
    assert tokens["count"] == 4
    assert tokens["ids"][0] == other
    assert tokens["forced"] == [0]
    at = steer(action="resume", breakpoints=[{"kind": "entropy", "value": 0}])
    assert at["state"] in ("paused", "running")
    for wrong in (
        {"action": "jump"},
        {"action": "step", "count": "many"},
        {"action": "force", "token": 10**9},
        {"action": "break", "breakpoints": [{"kind": "probability", "value": 3}]},
        {"action": "break", "breakpoints": "all"},
    ):
        assert page.post(f"/glass/box/{key}/debugger-signal", json=wrong).status_code in (400, 404)
    steer(action="resume", breakpoints=[])
    generation.result(60)
    assert steer(action="step", count=1)["state"] == "finished"
    long = page.post(f"/glass/box/{key}/debugger-signal", content=b"x" * 100_000)
    assert long.status_code == 404


def test_replies_are_compared(site: Site, page: TestClient, conversation: Conversation) -> None:
    asked = conversation.tree.path[0]
    each = [SETTINGS, Settings(SamplingParams(do_sample=False, max_new_tokens=24))]
    begun = conversation.compare(asked.id, [(site.backend, one) for one in each])
    for _turn, generation in begun:
        generation.result(60)
    turns = [turn for turn, _generation in begun]
    key = site.box_keys.open(Subject(ME, conversation.id, turns[0]))
    found = answer(page, f"/glass/box/{key}/compare", turns=",".join(turns))
    first, second = found["replies"]
    at = second["diverges"]
    assert first["tokens"][:at] == second["tokens"][:at]
    assert first["tokens"][at] != second["tokens"][at]
    # Nothing is surer of the greedy reply than the model that wrote it by its own settings.
    assert found["likelihoods"][1][1]["bits"] < found["likelihoods"][0][1]["bits"]
    assert {reply["turn"] for reply in answer(page, f"/glass/box/{key}/siblings")["replies"]} >= {
        *turns
    }


def test_its_own_files_are_served_and_no_others(page: TestClient) -> None:
    found = page.get(f"/glass/static/{VERSION}/box.js")
    assert found.headers["content-type"].startswith("text/javascript")
    assert "immutable" in found.headers["cache-control"]
    assert page.get("/glass/static/other/box.js").status_code == 404
    assert page.get(f"/glass/static/{VERSION}/..%2Fwords.py").status_code == 404
    assert page.get(f"/glass/static/{VERSION}/words.py").status_code == 404


def test_boxes_forget_the_oldest() -> None:
    box_keys = BoxKeys(most=2)
    subjects = [Subject(ME, "chat", str(number)) for number in range(3)]
    keys = [box_keys.open(subject) for subject in subjects]
    assert box_keys.find(keys[0]) is None
    assert box_keys.find(keys[2]) == subjects[2]
    assert box_keys.open(subjects[2]) == keys[2]


def test_a_custom_stage_has_its_column_and_can_be_asked_about(page: TestClient, site: Site) -> None:
    own = site.backend.describe().stage_classes.configure({"half": {}})
    found = site.library.new(ME)
    asked = Settings(SamplingParams(seed=7, max_new_tokens=6, own_stages=own))
    found.ask(site.backend, "Name three colours.", asked).result(60)
    assert found.tree.last is not None
    box = f"/glass/box/{site.box_keys.open(Subject(ME, found.id, found.tree.last.id))}"
    waterfall_json = answer(page, f"{box}/waterfall", place=0)
    half = waterfall_json["columns"][-1]
    assert (half["name"], half["kind"], half["certain"]) == ("half", "warper", True)
    assert half["lesson"][0] == "A stage of your own: its source says what it does."
    found = answer(page, f"{box}/setting-effects")["setting_effects"]
    effects = {effect["name"]: effect["sentence"] for effect in found}
    assert effects["half"].startswith("half on ")
    known = answer(page, f"{box}/settings")
    order = json.dumps({"stages": ["half", *known["stages"][:-1]]})
    assert known["stages"][-1] == "half"
    assert answer(page, f"{box}/waterfall", place=0, changes=order)["columns"][1]["name"] == "half"
    assert "story" in answer(page, f"{box}/what-if", changes=order)
