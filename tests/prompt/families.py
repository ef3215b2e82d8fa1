"""The families of chat models whose prompts the tests build, on a small GGUF or a folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from glasschat.models.base import Tokenizer
from glasschat.models.hf.tokenizer import HfTokenizer
from glasschat.models.llama_cpp.tokenizer import open_vocabulary
from glasschat.prompt import ChatMessage, ChatTemplate, PromptEncoding, describe
from tests.support import ggufs
from tests.support.ggufs import CONTROL, NORMAL, USER_DEFINED
from tests.support.hf_tokenizers import folder_of

TEMPLATES = Path(__file__).parents[1] / "data" / "templates"
_LLAMA3 = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
]
_CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@dataclass(frozen=True)
class Family:
    """A vocabulary, its template, and the pieces that content must never become."""

    name: str
    tokenizer: Tokenizer
    template: ChatTemplate
    pieces: tuple[str, ...]
    system: bool

    def shown(self, encoding: PromptEncoding) -> dict[int, str]:
        """What the prompt says of each message, without the template's own space before it."""
        return {
            record["message"]: record["text"]
            for record in describe(self.tokenizer, encoding)
            if record["message"] is not None
        }

    def control(self, encoding: PromptEncoding) -> list[int]:
        """The control ids of the prompt, in order."""
        return [i for i in encoding.ids if i in self.tokenizer.control_ids]

    def rendered(self, messages: list[ChatMessage], open_reply: bool = True) -> str:
        """The prompt's text by Jinja alone, contents given to the template as they are."""
        tokenizer = self.tokenizer
        bos = (
            tokenizer.token_bytes(tokenizer.bos_id).decode() if tokenizer.bos_id is not None else ""
        )
        eos = (
            tokenizer.token_bytes(tokenizer.eos_id).decode() if tokenizer.eos_id is not None else ""
        )
        text = render_plainly(self.template.source, messages, open_reply, bos, eos)
        return text if not tokenizer.adds_bos or text.startswith(bos) else bos + text


def render_plainly(
    source: str, messages: list[ChatMessage], open_reply: bool, bos: str, eos: str
) -> str:
    """What transformers does to render a template, in a few lines."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    return environment.from_string(source).render(
        messages=[{"role": m.role, "content": m.text} for m in messages],
        add_generation_prompt=open_reply,
        bos_token=bos,
        eos_token=eos,
    )


def source_of(name: str) -> str:
    """The text of tests/data/templates/NAME.jinja."""
    return (TEMPLATES / f"{name}.jinja").read_text()


Maker = Callable[[Path, Path, str], Path]


def _byte_level(special: dict[str, int], **options: Any) -> Maker:
    return lambda target, smollm, template: ggufs.byte_level(
        target, smollm, special, template, **options
    )


def _sentencepiece(special: dict[str, int], **options: Any) -> Maker:
    return lambda target, smollm, template: ggufs.sentencepiece(
        target, special, template, **options
    )


def _all(kind: int, *pieces: str) -> dict[str, int]:
    return dict.fromkeys(pieces, kind)


_QWEN = _all(CONTROL, *_CHATML) | _all(
    USER_DEFINED, "<think>", "</think>", "<tool_call>", "</tool_call>"
)
# Template, whether it takes a system prompt, and how its GGUF is made.
MAKERS: dict[str, tuple[str, bool, dict[str, int], Callable[..., Maker], dict[str, Any]]] = {
    "chatml": (
        "chatml", True, _all(CONTROL, *_CHATML), _byte_level,
        {"bos": "<|im_start|>", "eos": "<|im_end|>"},
    ),
    "llama3": (
        "llama3", True, _all(CONTROL, *_LLAMA3), _byte_level,
        {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>", "adds_bos": True, "pre": "llama-bpe"},
    ),
    "llama2": ("llama2", True, _all(CONTROL, "<s>", "</s>"), _sentencepiece, {}),
    "mistral": (
        "mistral", True,
        _all(CONTROL, "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]"), _sentencepiece, {},
    ),
    "gemma": (
        "gemma", False,
        _all(CONTROL, "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>")
        | _all(USER_DEFINED, "<h1>", "</h1>", "\n\n", "  "),
        _sentencepiece, {"bos": "<bos>", "eos": "<eos>", "space_prefix": False},
    ),
    "phi3": (
        "phi3", True,
        _all(CONTROL, "<s>", "<|endoftext|>", "<|system|>", "<|end|>")
        | _all(USER_DEFINED, "<|user|>", "<|assistant|>"),
        _sentencepiece, {"eos": "<|endoftext|>"},
    ),
    "qwen2_5": ("qwen2_5", True, _QWEN, _byte_level, {"eos": "<|im_end|>", "pre": "qwen2"}),
    "qwen3": ("qwen3", True, _QWEN, _byte_level, {"eos": "<|im_end|>", "pre": "qwen2"}),
    # A conversion that typed its structural tokens as ordinary words.
    "mistyped_chatml": (
        "chatml", True, _all(NORMAL, *_CHATML), _byte_level, {"eos": "<|im_end|>"},
    ),
    "mistyped_gemma": (
        "gemma", False, _all(NORMAL, "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        _sentencepiece, {"bos": "<bos>", "eos": "<eos>", "space_prefix": False},
    ),
}  # fmt: skip


# Those that are tried as a folder too; a space after every control token is Llama 2's habit.
FOLDERS = {
    f"{name}-folder": {"legacy": name != "mistral"}
    for name in ("llama2", "mistral", "gemma", "phi3", "qwen3")
}


@contextmanager
def open_family(name: str, folder: Path, smollm: Path) -> Iterator[Family]:
    """The family called `name`, on a GGUF that is written to `folder`, or a folder made of it."""
    base = name.removesuffix("-folder")
    template, system, special, make, options = MAKERS[base]
    target = folder / f"{name}.gguf"
    make(special, **options)(target, smollm, source_of(template))
    if name in FOLDERS:
        tokenizer = HfTokenizer(folder_of(target, folder / name, **FOLDERS[name]))
        yield Family(base, tokenizer, ChatTemplate(tokenizer), (*special,), system)
        return
    with open_vocabulary(target) as vocabulary:
        yield Family(base, vocabulary, ChatTemplate(vocabulary), (*special,), system)
