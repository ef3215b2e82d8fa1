"""A model is loaded whole or not at all: what stops the loading comes out, and nothing stays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glasschat.config import ModelOptions
from glasschat.errors import EngineStopped, InvalidModel, NotEnoughMemory
from glasschat.models.llama_cpp.library import llama_cpp
from glasschat.models.load import load_model, plan_model


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The models that are loaded and not freed; freeing one twice fails at once."""
    models: list[int] = []
    load, free = llama_cpp.llama_model_load_from_file, llama_cpp.llama_model_free

    def counted_load(*arguments: Any) -> Any:
        model = load(*arguments)
        if model:
            models.append(model)
        return model

    def counted_free(model: Any) -> None:
        models.remove(model)
        free(model)

    monkeypatch.setattr(llama_cpp, "llama_model_load_from_file", counted_load)
    monkeypatch.setattr(llama_cpp, "llama_model_free", counted_free)
    return models


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineStopped("closed"), ValueError("x")])
@pytest.mark.parametrize("after", [0.0, 0.5, 1.0])
def test_what_the_progress_raises_ends_the_loading(
    error: BaseException, after: float, builtin_model_path: Path, kept: list[int]
) -> None:
    shares: list[float] = []

    def progress(share: float) -> None:
        shares.append(share)
        if share >= after:
            raise error

    with pytest.raises(type(error)) as caught:
        load_model(plan_model(ModelOptions(path=builtin_model_path)), progress)
    assert caught.value is error
    assert sum(share >= after for share in shares) == 1
    assert kept == []


def test_a_tokenizer_that_is_refused_leaves_no_model(
    monkeypatch: pytest.MonkeyPatch, builtin_model_path: Path, kept: list[int]
) -> None:
    monkeypatch.setattr(
        "glasschat.models.llama_cpp.load.LlamaTokenizer", failing(InvalidModel("no bytes"))
    )
    with pytest.raises(InvalidModel, match="no bytes"):
        load_model(plan_model(ModelOptions(path=builtin_model_path)))
    assert kept == []


def test_a_runner_that_cannot_start_leaves_no_model(
    monkeypatch: pytest.MonkeyPatch, builtin_model_path: Path, kept: list[int]
) -> None:
    monkeypatch.setattr(
        "glasschat.models.llama_cpp.load.LlamaCppRunner", failing(KeyboardInterrupt())
    )
    with pytest.raises(KeyboardInterrupt):
        load_model(plan_model(ModelOptions(path=builtin_model_path)))
    assert kept == []


def test_a_cache_that_cannot_be_made_frees_the_model_once(
    monkeypatch: pytest.MonkeyPatch, builtin_model_path: Path, kept: list[int]
) -> None:
    monkeypatch.setattr(llama_cpp, "llama_init_from_model", lambda *_: None)
    with pytest.raises(NotEnoughMemory, match="KV cache"):
        load_model(plan_model(ModelOptions(path=builtin_model_path)))
    assert kept == []


def test_a_loaded_model_is_freed_when_it_is_closed(
    builtin_model_path: Path, kept: list[int]
) -> None:
    model = load_model(plan_model(ModelOptions(path=builtin_model_path, slots=1, context=512)))
    assert len(kept) == 1
    model.runner.close()
    model.runner.close()
    assert kept == []
