"""Plan and load a model folder: check that it fits, load it with transformers."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glasschat.config import ModelOptions
from glasschat.errors import MissingExtra, ParameterError
from glasschat.messages import Message
from glasschat.models.base import Model, ModelInfo
from glasschat.models.hf.families import check_supported, is_tested
from glasschat.models.hf.folder import HfFolder, read_folder
from glasschat.models.memory import choose_sizes, usable_cores

LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors")


@dataclass(frozen=True, slots=True)
class HfPlan:
    """A model folder that was found and fits, with every choice made.

    `memory` is what it will take of the machine's memory, in bytes.
    """

    path: Path
    folder: HfFolder
    context: int
    slots: int
    threads: int
    adaptive: bool
    device: str
    dtype: str
    warning: str | None
    memory: int = 0

    @property
    def info(self) -> ModelInfo:
        """Return the facts that the folder states about the model."""
        return ModelInfo(
            name=self.folder.name,
            path=self.path,
            architecture=self.folder.model_type,
            quantization=self.dtype,
            parameters=self.folder.parameters,
            file_bytes=self.folder.weight_bytes,
            train_context=self.folder.train_context,
            vocab_size=self.folder.vocab_size,
            recommended=recommended_sampling(self.folder.generation_config),
        )


def plan_folder(options: ModelOptions, path: Path) -> HfPlan:
    """Read the folder's JSON; choose device, number type, context and slots.

    No weights are read; torch is imported, which takes seconds. Raises ModelError, and
    ParameterError for a device that does not exist.
    """
    folder = read_folder(path)
    check_supported(folder.config, folder.name)
    check_libraries()
    if options.gpu_layers is not None:
        raise ParameterError(
            "gpu_layers", "left out for a model folder (see --device)", options.gpu_layers
        )
    from glasschat.models.hf.device import choose_device, choose_dtype, dtype_warning
    from glasschat.models.hf.memory import hf_memory_need

    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, device, folder.dtype)
    context, slots, memory = choose_sizes(
        options,
        folder.name,
        folder.train_context,
        lambda context, slots: hf_memory_need(
            folder, context=context, slots=slots, device=device, dtype=dtype
        ),
    )
    return HfPlan(
        path=path,
        folder=folder,
        context=context,
        slots=slots,
        threads=options.threads or usable_cores(),
        adaptive=options.threads is None and not options.exact,
        device=device,
        dtype=dtype,
        warning=dtype_warning(device, dtype),
        memory=memory,
    )


def load_folder(plan: HfPlan, progress: Callable[[float], None]) -> Model:
    """Load the model of a plan, as `load_model` does."""
    from glasschat.models.hf.runner import HfRunner
    from glasschat.models.hf.tokenizer import HfTokenizer
    from glasschat.models.hf.weights import load_weights

    # First what is quick: a damaged tokenizer is known before gigabytes are read.
    tokenizer = HfTokenizer(plan.path, vocab_size=plan.folder.vocab_size)
    module = load_weights(plan.folder, device=plan.device, dtype=plan.dtype, progress=progress)
    runner = HfRunner(
        module,
        slots=plan.slots,
        context=plan.context,
        device=plan.device,
        vocab_size=tokenizer.vocab_size,
        threads=plan.threads,
        adaptive=plan.adaptive,
        check=not is_tested(plan.folder.config),
    )
    return Model(plan.info, tokenizer, runner)


def check_libraries() -> None:
    """Raise MissingExtra when torch or transformers is not installed."""
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(
            "a model folder needs {missing}: {advice}",
            missing=" and ".join(missing),
            advice=Message("pip install 'glasschat[hf]', or name a .gguf file"),
        )


def recommended_sampling(generation_config: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the settings of generation_config.json that glasschat has too."""
    found: dict[str, float] = {
        name: value
        for name, value in generation_config.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if generation_config.get("do_sample") is False:
        found["do_sample"] = False
    return found
