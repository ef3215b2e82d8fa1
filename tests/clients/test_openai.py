"""OpenAI's own library: what it reads of our answers, and what it raises of our errors."""

import asyncio
import json
import threading
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field

from glasschat.models.scripted import scripted_model
from glasschat.sampling import DEFAULT_ORDER
from tests.api.serving import HELLO, Served, endless, served, wait_until
from tests.clients.conftest import KEY, SAYING

pytestmark = pytest.mark.slow

MESSAGES: Any = HELLO


def client_of(server: Served, key: str = KEY, **options: Any) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key, timeout=20, max_retries=0, **options)


EVERY_FIELD: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "n": 2,
    "stop": ["zebra"],
    "seed": 3,
    "logit_bias": {"97": 1},
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "max_completion_tokens": 100,
    "logprobs": True,
    "top_logprobs": 2,
    "user": "somebody",
    "response_format": {"type": "text"},
}
BEYOND = {
    "top_k": 50,
    "min_p": 0.01,
    "typical_p": 0.99,
    "repetition_penalty": 1.01,
    "stages": [*reversed(DEFAULT_ORDER)],
    "glass": True,
    "timeout": 20,
}


def test_every_field(locked: Served) -> None:
    client = client_of(locked)
    reply = client.chat.completions.create(
        model="scripted", messages=MESSAGES, **EVERY_FIELD, extra_body=BEYOND
    )
    assert [choice.message.content for choice in reply.choices] == [SAYING, SAYING]
    assert reply.usage is not None and reply.usage.prompt_tokens_details is not None
    for choice in reply.choices:
        assert choice.logprobs is not None and choice.logprobs.content is not None
        told = choice.logprobs.content
        assert bytes(b for token in told for b in token.bytes or []).decode() == SAYING
        assert all(len(token.top_logprobs) == 2 for token in told)
        assert choice.model_extra is not None
        records = choice.model_extra["glass"]
        assert len(records) == len(told) + 1
        ran = [stage["name"] for stage in records[0]["stages"]]
        assert ran == sorted(ran, key=BEYOND["stages"].index) and len(ran) > 5


def test_every_field_in_a_stream(locked: Served) -> None:
    """The same as at once, log-probabilities and records too."""
    client = client_of(locked)
    asked = {**EVERY_FIELD, "model": "scripted", "messages": MESSAGES, "extra_body": BEYOND}
    whole = client.chat.completions.create(**asked)
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options=options))
    for choice in whole.choices:
        parts = [c for chunk in chunks for c in chunk.choices if c.index == choice.index]
        assert "".join(part.delta.content or "" for part in parts) == choice.message.content
        told = [token for part in parts if part.logprobs for token in part.logprobs.content or []]
        assert choice.logprobs is not None and told == choice.logprobs.content
        glass = [record for part in parts for record in (part.model_extra or {}).get("glass", [])]
        assert glass == (choice.model_extra or {})["glass"]
        assert parts[-1].finish_reason == choice.finish_reason
    assert chunks[-1].usage is not None and whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_limit(locked: Served, limit: str) -> None:
    asked: dict[str, Any] = {limit: 3}
    reply = client_of(locked).chat.completions.create(model="scripted", messages=MESSAGES, **asked)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None and reply.usage.completion_tokens == 3


def test_a_stream(locked: Served) -> None:
    stream = client_of(locked).chat.completions.create(
        model="scripted", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == SAYING
    assert chunks[-1].usage is not None and not chunks[-1].choices


def test_the_librarys_own_gathering_of_a_stream(locked: Served) -> None:
    with client_of(locked).chat.completions.stream(
        model="scripted", messages=MESSAGES, **EVERY_FIELD
    ) as stream:
        kinds = {event.type for event in stream}
        reply = stream.get_final_completion()
    assert {"content.delta", "content.done", "logprobs.content.delta"} <= kinds
    assert [choice.message.content for choice in reply.choices] == [SAYING, SAYING]
    assert [choice.finish_reason for choice in reply.choices] == ["stop", "stop"]


def test_asynchronously_and_many_at_once(locked: Served) -> None:
    async def ask(client: AsyncOpenAI) -> str:
        stream = await client.chat.completions.create(
            model="scripted", messages=MESSAGES, stream=True
        )
        return "".join([c.choices[0].delta.content or "" async for c in stream])

    async def ask_many() -> list[str]:
        async with AsyncOpenAI(base_url=f"{locked.url}/v1", api_key=KEY, timeout=20) as client:
            whole = client.chat.completions.create(model="scripted", messages=MESSAGES)
            streams = [ask(client) for _ in range(12)]
            reply, *texts = await asyncio.gather(whole, *streams)
            return [reply.choices[0].message.content or "", *texts]

    assert asyncio.run(ask_many()) == [SAYING] * 13


def test_completions(locked: Served) -> None:
    client = client_of(locked)
    reply = client.completions.create(
        model="scripted", prompt=["<|/head|>", "<|/head|>Hello "], logprobs=1, max_tokens=5
    )
    assert [choice.text for choice in reply.choices] == ["Hello", "wörl"]
    assert reply.choices[0].logprobs is not None
    assert reply.choices[0].logprobs.tokens == [*"Hello"]
    stream = client.completions.create(model="scripted", prompt="<|/head|>", stream=True, echo=True)
    text = "".join(choice.text for chunk in stream for choice in chunk.choices)
    assert text == "<|/head|>" + SAYING


def test_models(locked: Served) -> None:
    client = client_of(locked)
    assert [model.id for model in client.models.list()] == ["scripted"]
    assert client.models.retrieve("scripted").owned_by == "glasschat"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


class Pet(BaseModel):
    name: str = Field(max_length=8)
    legs: int = Field(ge=0, le=8)


def test_a_class_for_an_answer(noisy: Served) -> None:
    """The library writes the schema, asks for it to be strict, and reads the object."""
    reply = client_of(noisy).chat.completions.parse(
        model="scripted", messages=MESSAGES, response_format=Pet, seed=1
    )
    pet = reply.choices[0].message.parsed
    assert isinstance(pet, Pet) and 0 <= pet.legs <= 8


def test_json_of_any_form(noisy: Served) -> None:
    """Cut by its limit it is the beginning of an object; ended by itself it is one."""
    reply = client_of(noisy).chat.completions.create(
        model="scripted",
        messages=MESSAGES,
        response_format={"type": "json_object"},
        seed=1,
        max_tokens=400,
    )
    (choice,) = reply.choices
    text = choice.message.content or ""
    assert text.lstrip().startswith("{")
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


# --- errors -------------------------------------------------------------------------------------


def test_a_wrong_key(locked: Served) -> None:
    with pytest.raises(openai.AuthenticationError) as error:
        client_of(locked, "sk-wrong").models.list()
    assert error.value.code == "invalid_api_key"


def test_a_wrong_field_and_one_that_is_not_here(locked: Served) -> None:
    client = client_of(locked)
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="scripted", messages=MESSAGES, temperature=-1)
    assert (error.value.param, error.value.code) == ("temperature", "invalid_value")
    assert error.value.request_id in str(error.value.response.json())
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
    with pytest.raises(openai.BadRequestError, match="tools"):
        client.chat.completions.create(model="scripted", messages=MESSAGES, tools=[tool])


def test_a_full_queue_is_tried_again_by_itself() -> None:
    gate = threading.Semaphore(0)
    with served(scripted_model(endless, slots=1, gate=gate), max_waiting=1) as server:
        client = client_of(server)

        def ask(client: OpenAI) -> str | None:
            reply = client.chat.completions.create(
                model="scripted", messages=MESSAGES, max_tokens=2
            )
            return reply.choices[0].message.content

        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_until(lambda: server.backend.stats().waiting == 1)
        with pytest.raises(openai.RateLimitError) as error:
            ask(client)
        assert error.value.code == "queue_full"
        # Retry-After is one second: by then there is room.
        threading.Timer(0.2, gate.release, (1000,)).start()
        assert ask(client.with_options(max_retries=2)) == "xx"
        for thread in threads:
            thread.join()


def test_an_error_in_a_stream_is_raised() -> None:
    with served(scripted_model(endless, context=4096)) as server:
        client = client_of(server)
        stream = client.chat.completions.create(
            model="scripted", messages=MESSAGES, stream=True, extra_body={"timeout": 0.1}
        )
        with pytest.raises(openai.APIError, match="timeout"):
            list(stream)


def test_a_deadline_is_not_waited_for_again() -> None:
    with served(scripted_model(endless, context=4096)) as server:
        client = client_of(server).with_options(max_retries=5)
        with pytest.raises(openai.InternalServerError) as error:
            client.chat.completions.create(
                model="scripted", messages=MESSAGES, extra_body={"timeout": 0.1}
            )
        assert error.value.code == "timeout"
        assert server.admission.backend.stats().repairs == 0
