"""Plan and load a GGUF file: check that it fits, load it with llama.cpp."""

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from glasschat.config import ModelOptions
from glasschat.errors import NotEnoughMemory, ParameterError
from glasschat.messages import Message
from glasschat.models.base import Model, ModelInfo
from glasschat.models.gguf.files import display_name, read_model
from glasschat.models.gguf.header import GgufHeader
from glasschat.models.llama_cpp import log
from glasschat.models.llama_cpp.library import llama_cpp
from glasschat.models.llama_cpp.preflight import check_in_subprocess
from glasschat.models.llama_cpp.runner import LlamaCppRunner
from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer
from glasschat.models.memory import (
    MemoryNeed,
    available_bytes,
    choose_sizes,
    memory_need,
    usable_cores,
)


@dataclass(frozen=True, slots=True)
class GgufPlan:
    """A model that was found and fits, with every choice made.

    `memory` is what it will take of the machine's memory, in bytes.
    """

    path: Path
    header: GgufHeader
    context: int
    slots: int
    threads: int
    adaptive: bool
    gpu_layers: int
    memory: int = 0
    warning: ClassVar[None] = None

    @property
    def info(self) -> ModelInfo:
        """Return the facts that the header states about the model."""
        return ModelInfo(
            name=display_name(self.path),
            path=self.path,
            architecture=self.header.architecture,
            quantization=self.header.quantization,
            parameters=self.header.parameters,
            file_bytes=self.header.file_bytes,
            train_context=self.header.train_context,
            vocab_size=self.header.vocab_size,
        )


def plan_gguf(options: ModelOptions, path: Path) -> GgufPlan:
    """Read the header; choose context, slots, threads and layers.

    No weights are read. A file that was not loaded before is opened in a process of its own first,
    which takes half a second. Raises ModelError or ParameterError.
    """
    header = read_model(path)
    if options.dtype != "auto":
        raise ParameterError("dtype", "left out for a GGUF, which brings its own", options.dtype)
    gpu_layers = _gpu_layers(options.gpu_layers, options.device)
    # What is on a GPU is counted by llama.cpp itself.
    available = None if _all_on_gpu(header, gpu_layers) else available_bytes()

    def need(context: int, slots: int) -> MemoryNeed | None:
        return None if available is None else memory_need(header, context, slots, available)

    context, slots, memory = choose_sizes(options, path.name, header.train_context, need)
    check_in_subprocess(header)
    return GgufPlan(
        path=path,
        header=header,
        context=context,
        slots=slots,
        threads=options.threads or usable_cores(),
        # Threads that were asked for are not changed, and exact mode repeats its steps.
        adaptive=options.threads is None and not options.exact,
        gpu_layers=gpu_layers,
        memory=memory,
    )


def load_gguf(plan: GgufPlan, progress: Callable[[float], None]) -> Model:
    """Load the model of a plan, as `load_model` does.

    Raises InvalidModel with llama.cpp's own words, NotEnoughMemory.
    """
    model = _load_weights(plan, progress)
    try:
        tokenizer = LlamaTokenizer(model)
        runner = LlamaCppRunner(
            model,
            slots=plan.slots,
            context=plan.context,
            threads=plan.threads,
            adaptive=plan.adaptive,
        )
    except NotEnoughMemory:
        # The runner has freed the model already.
        raise
    except BaseException:
        llama_cpp.llama_model_free(model)
        raise
    return Model(plan.info, tokenizer, runner)


def _load_weights(plan: GgufPlan, progress: Callable[[float], None]) -> Any:
    """Return a llama.cpp model pointer, which the caller owns."""
    log.silence()
    log.clear_errors()
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = plan.gpu_layers
    raised: list[BaseException] = []

    @llama_cpp.llama_progress_callback  # type: ignore[untyped-decorator]
    def report(share: float, _user_data: ctypes.c_void_p) -> bool:
        # ctypes would swallow what is raised here, Ctrl-C too; llama.cpp stops on False.
        try:
            progress(share)
        except BaseException as error:
            raised.append(error)
        return not raised

    params.progress_callback = report
    model = llama_cpp.llama_model_load_from_file(os.fsencode(plan.path), params)
    if raised:
        if model:
            llama_cpp.llama_model_free(model)
        raise raised[0]
    if not model:
        raise log.load_error(Message("load {name}", name=plan.path.name))
    return model


def _gpu_layers(asked: int | None, device: str) -> int:
    """Return how many layers go to a GPU. Raises ParameterError."""
    supported = bool(llama_cpp.llama_supports_gpu_offload())
    if device not in ("auto", "cpu"):
        raise ParameterError("device", "auto or cpu for a GGUF (see --gpu-layers)", device)
    if asked and device == "cpu":
        raise ParameterError("gpu_layers", "0 with --device cpu", asked)
    if asked and not supported:
        raise ParameterError("gpu_layers", "0: this build of llama.cpp has no GPU support", asked)
    if asked is None:
        return 999 if supported and device == "auto" else 0
    return asked


def _all_on_gpu(header: GgufHeader, gpu_layers: int) -> bool:
    """Return whether no layer stays in main memory; one that is divided counts as staying."""
    layers = header.metadata.get(f"{header.architecture}.block_count")
    return gpu_layers > 0 and isinstance(layers, int) and gpu_layers >= layers
