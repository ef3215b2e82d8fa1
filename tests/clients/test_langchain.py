"""langchain-openai: chains that think they talk to OpenAI."""

import asyncio
from typing import Any

import pytest
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import BaseModel, Field

from tests.api.serving import Served
from tests.clients.conftest import KEY, SAYING

pytestmark = pytest.mark.slow


def chat(server: Served, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{server.url}/v1",
        api_key=KEY,
        model="scripted",
        timeout=20,
        max_retries=0,
        **options,
    )


def test_asked_and_answered(locked: Served) -> None:
    settings: dict[str, Any] = {
        "temperature": 0.1,
        "max_tokens": 100,
        "seed": 1,
        "stop": ["zebra"],
        "presence_penalty": 0.1,
        "logprobs": True,
        "top_logprobs": 1,
        "extra_body": {"top_k": 40},
    }
    reply = chat(locked, **settings).invoke([("system", "Be kind"), ("human", "Hello")])
    assert reply.content == SAYING
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["output_tokens"] == len(SAYING.encode()) + 1
    assert len(reply.response_metadata["logprobs"]["content"]) == len(SAYING.encode())
    assert reply.response_metadata["finish_reason"] == "stop"


def test_streams(locked: Served) -> None:
    model = chat(locked, stream_usage=True)
    chunks = list(model.stream("Hello"))
    assert "".join(str(chunk.content) for chunk in chunks) == SAYING
    assert any(chunk.usage_metadata for chunk in chunks)

    async def stream() -> str:
        return "".join([str(chunk.content) async for chunk in model.astream("Hello")])

    assert asyncio.run(stream()) == SAYING


def test_completions(locked: Served) -> None:
    model = OpenAI(base_url=f"{locked.url}/v1", api_key=KEY, model="scripted", max_tokens=5)
    assert model.invoke("<|/head|>") == "Hello"


class Pet(BaseModel):
    """An animal."""

    name: str = Field(max_length=8)
    legs: int = Field(ge=0, le=8)


def test_structured_output(noisy: Served) -> None:
    pet = chat(noisy, seed=1).with_structured_output(Pet, method="json_schema").invoke("Hello")
    assert isinstance(pet, Pet)
