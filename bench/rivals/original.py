"""The floor: the algorithm of the demo that glasschat starts from, written anew on transformers.

Every turn formats the whole history as text, tokenizes it and prefills all of it, whatever an
earlier turn has computed already. Every token goes through the model with a KV cache, through
logits processors and warpers, softmax and multinomial, is appended to one growing tensor of ids,
and the whole output is decoded anew to be shown. Only what newer releases of transformers have
taken away is replaced, by public classes of the same effect.
"""

import io
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.rivals._libraries import import_library
from glasschat.errors import ParameterError

# The demo's own defaults; top-k is what its transformers release put in by itself.
TEMPERATURE, TOP_P, REPETITION_PENALTY, TOP_K = 0.7, 0.8, 1.005, 50


@dataclass(frozen=True, slots=True)
class OriginalTurn:
    """One turn. `ttft_s` starts with the formatting of the history and ends with the first
    decoded text; `decode_tps` counts the tokens after the first one.
    """

    prompt_tokens: int
    tokens: int
    ttft_s: float
    decode_tps: float
    text: str


@dataclass(frozen=True, slots=True)
class OriginalChat:
    """A chat of several turns, and with what it was computed."""

    turns: tuple[OriginalTurn, ...]
    dtype: str
    threads: int


def measure_original_chat(
    model_path: Path,
    questions: Sequence[str],
    n_tokens: int,
    *,
    dtype: Literal["float32", "bfloat16"] = "float32",
    threads: int,
    system: str | None = None,
    seed: int = 0,
) -> OriginalChat:
    """Ask one question a turn, each answered by exactly `n_tokens`; end tokens are suppressed.

    `model_path` is a GGUF file, whose weights are brought back to `dtype`, or a folder in
    Hugging Face format. torch's thread count is put back at the end.
    """
    if n_tokens < 2:
        raise ParameterError("n_tokens", "at least 2", n_tokens)
    torch = import_library("torch")
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(seed)
        demo = _Demo(model_path, dtype)
        demo.reply([{"role": "user", "content": "Hello!"}], 2)
        messages = [{"role": "system", "content": system}] if system else []
        turns = []
        for question in questions:
            messages.append({"role": "user", "content": question})
            turns.append(demo.reply(messages, n_tokens))
            messages.append({"role": "assistant", "content": turns[-1].text})
    finally:
        torch.set_num_threads(threads_before)
    return OriginalChat(tuple(turns), dtype, threads)


class _Demo:
    """The model, its tokenizer, and the loop."""

    def __init__(self, model_path: Path, dtype: str) -> None:
        self._torch = import_library("torch")
        lib = import_library("transformers")
        lib.utils.logging.set_verbosity_error()
        lib.utils.logging.disable_progress_bar()
        self._build = lib
        where: dict[str, Any] = {}
        folder = model_path
        extra: dict[str, Any] = {}
        if model_path.is_file():
            import_library("gguf")
            import_library("accelerate")
            folder = model_path.parent
            where = {"gguf_file": model_path.name}
            extra = {"quantization_config": lib.GgufConfig(dequantize=True)}
        self._tokenizer = lib.AutoTokenizer.from_pretrained(folder, local_files_only=True, **where)
        # The conversion of a GGUF draws a progress bar that no setting turns off.
        with redirect_stderr(io.StringIO()):
            self._model = lib.AutoModelForCausalLM.from_pretrained(
                folder,
                local_files_only=True,
                dtype=getattr(self._torch, dtype),
                **where,
                **extra,
            ).eval()
        ends = self._model.generation_config.eos_token_id
        self._ends = [ends] if isinstance(ends, int) else list(ends or [])

    def reply(self, messages: Sequence[dict[str, str]], n_tokens: int) -> OriginalTurn:
        """Answer one turn, computing the whole history anew."""
        torch, lib = self._torch, self._build
        with torch.inference_mode():
            started = time.perf_counter()
            prompt = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
            encoded = self._tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
            ids = encoded["input_ids"]
            prompt_tokens = int(ids.shape[1])
            processors = lib.LogitsProcessorList(
                [
                    lib.RepetitionPenaltyLogitsProcessor(REPETITION_PENALTY),
                    lib.SuppressTokensLogitsProcessor(self._ends),
                ]
            )
            warpers = lib.LogitsProcessorList(
                [
                    lib.TemperatureLogitsWarper(TEMPERATURE),
                    lib.TopKLogitsWarper(TOP_K),
                    lib.TopPLogitsWarper(TOP_P),
                ]
            )
            cache = None
            fresh = ids
            text = ""
            first = started
            for step in range(n_tokens):
                output = self._model(input_ids=fresh, past_key_values=cache, use_cache=True)
                cache = output.past_key_values
                scores = warpers(ids, processors(ids, output.logits[:, -1, :].float()))
                probabilities = torch.nn.functional.softmax(scores, dim=-1)
                fresh = torch.multinomial(probabilities, num_samples=1)
                ids = torch.cat([ids, fresh], dim=-1)
                text = self._tokenizer.decode(ids[0, prompt_tokens:], skip_special_tokens=True)
                if step == 0:
                    first = time.perf_counter()
            ended = time.perf_counter()
        return OriginalTurn(
            prompt_tokens=prompt_tokens,
            tokens=n_tokens,
            ttft_s=first - started,
            decode_tps=(n_tokens - 1) / (ended - first),
            text=text,
        )
