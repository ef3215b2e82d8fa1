"""The rivals run for real, a few tokens each: a comparison that cannot start compares nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import rivals
from glasschat.errors import InvalidModel, MissingExtra, ParameterError
from tests.support import ggufs
from tests.support.ggufs import CONTROL

pytestmark = pytest.mark.slow

TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
PROMPT = [1, 9690, 198, 2683, 359, 253, 5356]


def test_the_bare_loop_measures_prefill_and_decode(builtin_model_path: Path) -> None:
    result = rivals.measure_bare_loop(
        builtin_model_path, PROMPT, 4, threads=1, batch_threads=2, context=64
    )
    assert (result.prompt_tokens, result.decode_tokens) == (7, 4)
    assert result.prefill_tps > 0
    assert result.decode_tps > 0
    assert "CPU" in result.system_info


def test_the_bare_loop_refuses_what_does_not_fit(builtin_model_path: Path) -> None:
    with pytest.raises(ParameterError, match="1 to 56 after this prompt"):
        rivals.measure_bare_loop(
            builtin_model_path, PROMPT, 57, threads=1, batch_threads=1, context=64
        )


def test_the_bare_loop_names_a_file_that_is_no_model(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    with pytest.raises(InvalidModel, match=r"broken\.gguf"):
        rivals.measure_bare_loop(broken, PROMPT, 1, threads=1, batch_threads=1, context=64)


@pytest.mark.parity
def test_llama_server_streams_reuses_its_cache_and_ends(builtin_model_path: Path) -> None:
    before = children()
    with rivals.llama_server(
        builtin_model_path, context=256, slots=2, threads=1, batch_threads=2
    ) as server:
        reply = server.complete(PROMPT, 5)
        assert (reply.prompt_tokens, reply.tokens) == (7, 5)
        assert reply.ttft_s > 0
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        first = server.chat(messages, 8, seed=1)
        messages.append({"role": "assistant", "content": first.text})
        messages.append({"role": "user", "content": "And of Spain?"})
        assert server.chat(messages, 8, seed=1).cached_tokens >= first.prompt_tokens
        together = server.parallel([PROMPT, PROMPT[:4]], 6)
        assert [reply.tokens for reply in together.replies] == [6, 6]
        assert together.total_tps > 0
        with pytest.raises(rivals.RivalFailed, match="answered 400"):
            server.complete(PROMPT * 100, 5)
    assert children() == before


def test_a_llama_server_without_a_model_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(rivals.RivalFailed, match="did not start"),
        rivals.llama_server(
            tmp_path / "none.gguf", context=64, slots=1, threads=1, batch_threads=1
        ),
    ):
        pass


@pytest.mark.parity
def test_the_original_prefills_the_whole_history_each_turn(tmp_path: Path) -> None:
    """On a tiny GGUF: transformers takes half a minute to make numbers of the built-in one."""
    special = {"<s>": CONTROL, "</s>": CONTROL}
    model = ggufs.sentencepiece(tmp_path / "tiny.gguf", special, TEMPLATE, weights=True)
    chat = rivals.measure_original_chat(model, ["Hello!", "Why?"], 3, threads=2)
    first, second = chat.turns
    assert first.tokens == second.tokens == 3
    assert second.prompt_tokens > first.prompt_tokens + 3
    assert second.ttft_s > 0
    assert second.decode_tps > 0


def test_a_missing_library_is_named_with_the_extra(
    builtin_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"needs torch.*glasschat\[bench\]"):
        rivals.measure_original_chat(builtin_model_path, ["Hello!"], 2, threads=1)


def test_importing_the_rivals_imports_nothing_of_the_extra() -> None:
    heavy = "{'torch', 'transformers', 'xllamacpp'}"
    look = f"import sys, bench.rivals; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def children() -> set[Any]:
    """The processes that this one has started and that still run."""
    import psutil

    return {child.pid for child in psutil.Process().children(recursive=True)}
