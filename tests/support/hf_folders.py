"""Two complete model folders in Hugging Face format, made here because no hub can be reached.

The tiny Llama-3 has Meta's true vocabulary of 128,256 tokens, its template and its end tokens, and
random weights: right for whatever depends on tokens. SmolLM2 has the weights of the built-in GGUF:
right for whatever depends on what a model says, and for comparing the two formats.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glasschat.models.gguf.header import read_header
from tests.support.hf_parts import (
    Dtype,
    llama3_tokenizer,
    random_weights,
    smollm2_tokenizer,
    smollm2_weights,
)

LLAMA3_TEMPLATE = Path(__file__).parents[1] / "data" / "templates" / "llama3.jinja"


@pytest.fixture(scope="session")
def llama3_folder() -> Iterator[Path]:
    """A tiny Llama-3 in float32, in one file. Shared: copy what you want to damage."""
    with tempfile.TemporaryDirectory(prefix="glasschat-llama3-") as folder:
        yield tiny_llama3_folder(Path(folder) / "Tiny-Llama-3-Instruct")


@pytest.fixture(scope="session")
def smollm2_folder_f32(builtin_model_path: Path) -> Iterator[Path]:
    """SmolLM2-135M-Instruct in float32, 540 MB. Shared."""
    with tempfile.TemporaryDirectory(prefix="glasschat-smollm2-") as folder:
        yield smollm2_folder(Path(folder) / "SmolLM2-135M-Instruct", builtin_model_path)


@pytest.fixture(scope="session")
def smollm2_folder_bf16(builtin_model_path: Path) -> Iterator[Path]:
    """SmolLM2-135M-Instruct in bfloat16, 270 MB. Shared."""
    with tempfile.TemporaryDirectory(prefix="glasschat-smollm2-") as folder:
        path = Path(folder) / "SmolLM2-135M-Instruct"
        yield smollm2_folder(path, builtin_model_path, dtype="bfloat16")


def tiny_llama3_folder(
    path: Path,
    *,
    dtype: Dtype = "float32",
    shard_size: str = "1GB",
    seed: int = 0,
    weights: bool = True,
    **config: Any,
) -> Path:
    """Write a Llama-3 with two layers of 64 to `path`: about 70 MB, half of it in bfloat16.

    `config` goes over what config.json says. With a `shard_size` of "20MB" there are several
    files and an index. Without `weights`, only what is about tokens is written.
    """
    path.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "rope_theta": 500000.0,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "bos_token_id": 128000,
        "eos_token_id": 128001,
        "tie_word_embeddings": False,
        "torch_dtype": dtype,
        **config,
    }
    if weights:
        random_weights(path, values, dtype, shard_size, seed)
    _write(path / "config.json", values)
    _write(
        path / "generation_config.json",
        {
            "bos_token_id": 128000,
            "eos_token_id": [128001, 128009],
            "do_sample": True,
            "temperature": 0.6,
            "top_p": 0.9,
        },
    )
    (path / "tokenizer.json").write_text(llama3_tokenizer(), encoding="utf-8")
    _write(
        path / "tokenizer_config.json",
        {
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|eot_id|>",
            "clean_up_tokenization_spaces": True,
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": 8192,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": LLAMA3_TEMPLATE.read_text(encoding="utf-8"),
        },
    )
    return path


def smollm2_folder(
    path: Path, source: Path, *, dtype: Dtype = "float32", weights: bool = True
) -> Path:
    """Write the model of the GGUF at `source`, SmolLM2-135M-Instruct, to `path` as a folder.

    The weights are those that transformers makes of the same file, in a third of the time.
    Without `weights`, only what is about tokens is written.
    """
    path.mkdir(parents=True, exist_ok=True)
    template = read_header(source).metadata["tokenizer.chat_template"]
    _write(
        path / "config.json",
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": 49152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "max_position_embeddings": 8192,
            "rope_theta": 100000.0,
            "rms_norm_eps": 1e-5,
            "hidden_act": "silu",
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 2,
            "tie_word_embeddings": True,
            "dtype": dtype,
        },
    )
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    _write(path / "generation_config.json", special)
    (path / "chat_template.jinja").write_text(str(template), encoding="utf-8")
    _write(path / "tokenizer.json", smollm2_tokenizer(source))
    _write(
        path / "tokenizer_config.json",
        {
            "bos_token": "<|im_start|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
            "model_max_length": 8192,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )
    if weights:
        smollm2_weights(path, source, dtype)
    return path


def copied(folder: Path, to: Path, **config: Any) -> Path:
    """A copy of `folder` that a test may damage, with `config` over what config.json says."""
    shutil.copytree(folder, to)
    values = json.loads((to / "config.json").read_text(encoding="utf-8"))
    _write(to / "config.json", values | config)
    return to


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
