"""Replies that are JSON, held to jsonschema's opinion of what that is."""

import json
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasschat.backends.grammars import Grammars
from glasschat.errors import ParameterError, ReplyFailed
from glasschat.models.scripted import END, ScriptedTokenizer, scripted_model
from glasschat.sampling import Sampler, SamplingParams, StageContext, TokenHistory
from tests.api.serving import Served, served
from tests.api.test_refusals import error_of
from tests.support.examples import examples

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "kind": {"enum": ["cat", "dög"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2},
    },
    "required": ["name", "age", "kind"],
    "additionalProperties": False,
}
SCHEMAS: list[dict[str, Any]] = [
    PERSON,
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    {"anyOf": [{"const": 7}, {"type": "null"}]},
    {"type": "string", "pattern": "^[ab]{2,4}$"},
]


def noise(ids: Any) -> np.ndarray:
    """Any byte, with a leaning towards what ends things."""
    row = np.random.default_rng([*ids]).normal(0, 3, ScriptedTokenizer.vocab_size)
    row[[*b'"]}', END]] += 6
    return row.astype(np.float32)


@pytest.fixture(scope="module")
def noisy() -> Any:
    with served(scripted_model(noise, context=2048)) as server:
        yield server


def asked(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, **more}}
    return {"response_format": form}


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_a_model_of_noise_says_json_of_the_schema(
    noisy: Served, schema: dict[str, Any], seed: int
) -> None:
    choice = noisy.chat(**asked(schema), seed=seed).json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    jsonschema.validate(json.loads(choice["message"]["content"]), schema)


@pytest.mark.parametrize("seed", range(4))
def test_some_object(noisy: Served, seed: int) -> None:
    answer = noisy.chat(response_format={"type": "json_object"}, seed=seed, max_tokens=400).json()
    choice = answer["choices"][0]
    if choice["finish_reason"] == "stop":
        assert isinstance(json.loads(choice["message"]["content"]), dict)
    assert choice["message"]["content"].lstrip().startswith("{")


def test_text_is_any_text(noisy: Served) -> None:
    plain = noisy.chat(seed=1, max_tokens=20).json()["choices"][0]["message"]
    told = noisy.chat(seed=1, max_tokens=20, response_format={"type": "text"}).json()
    assert told["choices"][0]["message"] == plain


def test_the_grammar_is_the_first_stage_of_every_record(noisy: Served) -> None:
    records = noisy.chat(**asked(PERSON), seed=3, glass=True, top_k=50).json()["choices"][0][
        "glass"
    ]
    for record in records:
        grammar, top_k = record["stages"]
        assert (grammar["name"], top_k["name"]) == ("grammar", "top_k")
        assert 1 <= grammar["kept"] < ScriptedTokenizer.vocab_size
        assert 0 < grammar["mass"] <= 1
    # At the start nothing but a brace or white space may come.
    assert records[0]["stages"][0]["kept"] <= 5


def test_each_choice_follows_its_own(noisy: Served) -> None:
    choices = noisy.chat(**asked(PERSON), seed=5, n=3).json()["choices"]
    texts = [choice["message"]["content"] for choice in choices]
    assert len(set(texts)) == 3
    for text in texts:
        jsonschema.validate(json.loads(text), PERSON)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"type": "object", "properties": 3},
        {"$ref": "#/nowhere"},
        {"type": "string", "pattern": "("},
        {"type": "array", "uniqueItems": True},
    ],
    ids=str,
)
def test_a_schema_that_cannot_be_held_to(noisy: Served, schema: dict[str, Any]) -> None:
    error = error_of(noisy.chat(**asked(schema)))
    assert error["param"] == "response_format.json_schema.schema"
    assert error["code"] == "invalid_schema"
    assert "\n" not in error["message"]


@pytest.mark.parametrize(
    "form",
    [
        {"type": "grammar"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"schema": {}}},
        {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}},
        {"type": "json_object", "schema": {}},
        "json",
    ],
    ids=str,
)
def test_a_form_that_is_none(noisy: Served, form: Any) -> None:
    assert "response_format" in error_of(noisy.chat(response_format=form))["param"]


# --- the stage ----------------------------------------------------------------------------------

GRAMMARS = Grammars(ScriptedTokenizer())
ROW = np.zeros(ScriptedTokenizer.vocab_size, np.float32)


@settings(max_examples=examples(30))
@given(st.integers(0, 2**32), st.integers(0, 30))
def test_the_stage_depends_on_the_history_alone(seed: int, back: int) -> None:
    """A reply that is taken back some way, or looked at twice, finds the same mask."""
    stage = GRAMMARS.json(PERSON)
    params = SamplingParams(seed=seed)
    sampler = Sampler(params, [1], end_ids=[END], vocab_size=len(ROW), stages=[stage], trace=False)
    ids: list[int] = []
    masks = []
    for _ in range(30):
        history = TokenHistory([1])
        for token_id in ids:
            history.append(token_id)
        masks.append(stage(ROW, StageContext(history)))
        ids.append(sampler.sample(noise(ids)).token_id)
        if ids[-1] == END:
            break
    back = min(back, len(masks) - 1)
    history = TokenHistory([1])
    for token_id in ids[:back]:
        history.append(token_id)
    fresh = GRAMMARS.json(PERSON)(ROW, StageContext(history))
    assert np.array_equal(stage(ROW, StageContext(history)), fresh)
    assert np.array_equal(fresh, masks[back])


def test_a_reply_that_left_the_grammar_fails() -> None:
    history = TokenHistory([1])
    history.append(ord("x"))
    with pytest.raises(ReplyFailed, match="grammar"):
        GRAMMARS.json(PERSON)(ROW, StageContext(history))


def test_a_schema_without_meaning() -> None:
    with pytest.raises(ParameterError, match="schema"):
        GRAMMARS.json({"type": 3})
