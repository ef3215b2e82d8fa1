"""Replies of several models beside each other, by the program's own routes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.applications import Starlette
from starlette.testclient import TestClient
from transformers import (
    AutoModelForCausalLM,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from glasschat.backends import LocalBackend
from glasschat.chat import Conversation, Library, Settings
from glasschat.chat.user_presets import UserPresets
from glasschat.config import ModelOptions
from glasschat.models.load import load_model, plan_model
from glasschat.models.scripted import scripted_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.routes import routes
from glasschat.web.site import Site, set_site
from tests.support.models import real_model
from tests.web.glass.test_routes import answer

ME = "me"
PATIENCE_S = 60
SETTINGS = Settings(SamplingParams(seed=3, max_new_tokens=16), system="Be brief.")


@pytest.fixture(scope="module")
def site(builtin_model_path: Path, smollm2_folder_bf16: Path) -> Iterator[Site]:
    """A GGUF, the same model as a folder, and one of another vocabulary."""
    options = ModelOptions(path=smollm2_folder_bf16, context=512, slots=1, dtype="float32")
    folder = plan_model(options)
    with (
        LocalBackend(lambda _: real_model(builtin_model_path, slots=2), name="gguf") as gguf,
        LocalBackend(lambda progress: load_model(folder, progress), name="folder") as other,
        LocalBackend(lambda _: scripted_model("the sky is blue"), name="script") as script,
    ):
        for backend in (gguf, other, script):
            backend.load()
        others = {"folder": other, "script": script}
        found = Site(gguf, Library(), UserPresets(), others=others)
        set_site(found)
        yield found


@pytest.fixture(scope="module")
def page() -> TestClient:
    return TestClient(Starlette(routes=routes))


@pytest.fixture(scope="module")
def compared(site: Site) -> tuple[Conversation, list[str]]:
    """A question that all three have answered at once; the turns in their order."""
    conversation = site.library.new(ME)
    conversation.ask(site.backend, "Why is the sky blue?", SETTINGS).result(PATIENCE_S)
    question = conversation.tree.path[0].id
    begun = conversation.compare(question, [(b, SETTINGS) for b in site.named.values()])
    for _turn, generation in begun:
        generation.result(PATIENCE_S)
    return conversation, [turn for turn, _generation in begun]


def box_on(site: Site, conversation: Conversation, turn: str) -> str:
    return f"/glass/box/{site.box_keys.open(Subject(ME, conversation.id, turn))}"


def read(page: TestClient, box: str, turns: list[str]) -> dict[str, Any]:
    """Have all of them read, and wait for the end of it."""
    assert page.post(f"{box}/cross-score", json={"turns": ",".join(turns)}).status_code == 200
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = answer(page, f"{box}/compare", turns=",".join(turns))
        if not any("progress" in cell for row in found["likelihoods"] for cell in row):
            return found
        time.sleep(0.05)
    raise AssertionError("the replies were not read in time")


def test_each_reply_has_its_own_models_names(
    site: Site, page: TestClient, compared: tuple[Conversation, list[str]]
) -> None:
    conversation, turns = compared
    for turn in turns:
        box = box_on(site, conversation, turn)
        found = answer(page, f"{box}/tokens")
        assert "".join(found["tokens"]).startswith(conversation.tree[turn].text[:20])
        assert found["note"] == ""
    listed = answer(page, f"{box_on(site, conversation, turns[0])}/siblings")
    assert [model["name"] for model in listed["models"]] == ["", "folder", "script"]
    assert all(" · " not in reply["settings"] for reply in listed["replies"][1:])


def test_a_reply_is_as_likely_to_another_model_as_transformers_says(
    site: Site,
    page: TestClient,
    compared: tuple[Conversation, list[str]],
    smollm2_folder_bf16: Path,
) -> None:
    conversation, turns = compared
    box = box_on(site, conversation, turns[0])
    before = answer(page, f"{box}/compare", turns=",".join(turns[:2]))["likelihoods"]
    assert before[0][1] == before[1][0] == {"progress": None}
    found = read(page, box, turns[:2])["likelihoods"]
    reply, writer = conversation.tree[turns[0]], conversation.tree[turns[0]].runs[0]
    assert reply.ids
    folder = site.others["folder"]
    assert isinstance(folder, LocalBackend)
    system = ChatMessage("system", SETTINGS.system)
    asked = folder.encode([system, conversation.tree.path[0].message()]).ids
    model = AutoModelForCausalLM.from_pretrained(smollm2_folder_bf16, dtype=torch.float32)
    with torch.inference_mode():
        logits = model(torch.tensor([[*asked, *reply.ids]])).logits[0, len(asked) - 1 : -1]
    bits, counted = 0.0, 0
    for place, (row, token) in enumerate(zip(logits, reply.ids, strict=True)):
        left = _left(row, (*asked, *reply.ids[:place]), writer.params)
        if left[token] > 0:
            bits -= float(torch.log2(left[token]))
            counted += 1
    cell = found[0][1]
    assert cell["unknown"] + cell["impossible"] + counted >= len(reply.ids)
    assert cell["impossible"] == len(reply.ids) - counted
    assert cell["bits"] == pytest.approx(bits / counted, rel=0.02, abs=0.01)
    # Asked again it is there at once, and nothing of it is in the chat.
    assert read(page, box, turns[:2])["likelihoods"] == found
    assert [node.id for node in conversation.tree.siblings(turns[0])][1:] == turns


def _left(row: torch.Tensor, before: tuple[int, ...], params: SamplingParams) -> torch.Tensor:
    """What transformers' own stages leave of a row."""
    ids, scores = torch.tensor([before]), row[None].float()
    for stage in (
        RepetitionPenaltyLogitsProcessor(params.repetition_penalty),
        TemperatureLogitsWarper(params.temperature),
        TopPLogitsWarper(params.top_p),
    ):
        scores = stage(ids, scores)
    return torch.softmax(scores[0], dim=-1)


def test_what_cannot_be_read_says_why(
    site: Site, page: TestClient, compared: tuple[Conversation, list[str]]
) -> None:
    conversation, turns = compared
    box = box_on(site, conversation, turns[0])
    found = read(page, box, [turns[0], turns[2]])
    assert "vocabulary" in found["likelihoods"][0][1]["why"]
    assert "vocabulary" in found["likelihoods"][1][0]["why"]
    assert found["likelihoods"][0][0]["bits"] is not None
    # By their texts, as the numbers of their tokens mean different things.
    first, second = found["replies"]
    assert first["settings"] != second["settings"]
    assert second["diverges"] is not None


def test_a_model_is_given_the_text_of_another_ones_reply(
    site: Site, compared: tuple[Conversation, list[str]]
) -> None:
    """Its ids would be other words to it."""
    conversation, turns = compared
    conversation.select(turns[2])
    folder = site.others["folder"]
    assert isinstance(folder, LocalBackend)
    written = conversation.tree[turns[2]].text
    generation = conversation.ask(folder, "And at night?", SETTINGS)
    generation.result(PATIENCE_S)
    trace_prompt = folder.vocabulary.text_of(generation.prompt.ids)
    assert written in trace_prompt
    conversation.select(turns[0])
    generation = conversation.ask(folder, "And at night?", SETTINGS)
    generation.result(PATIENCE_S)
    ids = conversation.tree[turns[0]].ids
    assert ids is not None
    read = list(generation.prompt.ids)
    assert any(tuple(read[at : at + len(ids)]) == ids for at in range(len(read))), "as they were"
