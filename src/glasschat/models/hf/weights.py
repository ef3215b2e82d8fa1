"""Weights of a model folder, loaded by transformers and checked."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from glasschat.errors import GlasschatError, InvalidModel, NotEnoughMemory
from glasschat.messages import Message
from glasschat.models.hf.errors import is_out_of_memory, one_line_error, release_memory
from glasschat.models.hf.folder import HfFolder
from glasschat.models.hf.library import torch, transformers

# The share of the loading that reading takes; the rest is the look for numbers that are none.
_READING = 0.95
# transformers' hook for its progress is one for the whole process.
_hook_lock = threading.Lock()
# Masks that old checkpoints carry along, and that nothing reads.
_IDLE = (".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias")
_TOGETHER = Message("download config.json and weights again, from the same place")

Progress = Callable[[float], None]


def load_weights(
    folder: HfFolder, *, device: str, dtype: str, progress: Progress = lambda _: None
) -> torch.nn.Module:
    """Return the model of `folder` on `device`, in `dtype` ("float32" and so on), for evaluation.

    `progress` is called with shares from 0 to 1; whatever it raises ends the loading and is raised
    from here. Raises InvalidModel for weights that are missing, left over, of another shape or not
    finite, for a config.json that transformers does not accept and for an architecture that it does
    not know; NotEnoughMemory. What was allocated is freed then.
    """
    kind = folder.model_type
    if kind not in transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise InvalidModel(
            "{name} is of an unknown architecture ({kind}): transformers {version} has no causal "
            "language model of that name; a newer release may have",
            name=folder.name,
            kind=kind or "none named",
            version=transformers.__version__,
        )
    failure: GlasschatError | None = None
    with _Reporter(progress).reporting() as reporter:
        try:
            return _load(folder, device, dtype, reporter)
        except Exception as error:
            if reporter.raised is error:
                raise
            failure = _load_failure(error, folder, device)
    # Not within the handler: the traceback holds on to the tensors.
    release_memory(device)
    raise failure


def _load(folder: HfFolder, device: str, dtype: str, reporter: "_Reporter") -> torch.nn.Module:
    """Load and check the module. Raises what transformers raises, and InvalidModel."""
    module, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder.path,
        config=_config(folder),
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=getattr(torch, dtype),
        device_map=None if device == "cpu" else {"": device},
        # Told in info, and refused below with the names.
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    _check_complete(folder.name, info)
    module.requires_grad_(False)
    _check_finite(folder.name, module, reporter)
    reporter.tell(1.0)
    return module.eval()


def _config(folder: HfFolder) -> Any:
    """Return transformers' config of the folder, with values of the family's types."""
    try:
        return transformers.AutoConfig.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        raise InvalidModel(
            "{name} has a config.json that transformers does not take ({error}): correct that "
            "entry, or download config.json again",
            name=folder.name,
            error=one_line_error(error),
        ) from None


def _check_complete(name: str, info: Mapping[str, Any]) -> None:
    """Raise InvalidModel for weights that are missing, left over or of another shape."""
    missing = _join_names(info["missing_keys"])
    if missing:
        raise InvalidModel(
            "{name} lacks weights that its config.json asks for ({missing}): {advice}",
            name=name,
            missing=missing,
            advice=_TOGETHER,
        )
    shapes = _join_names(
        f"{found[0]} is {tuple(found[1])} and not {tuple(found[2])}"
        for found in info["mismatched_keys"]
    )
    if shapes:
        raise InvalidModel(
            "{name} has weights of another shape than config.json says ({shapes}): {advice}",
            name=name,
            shapes=shapes,
            advice=_TOGETHER,
        )
    left = [key for key in info["unexpected_keys"] if not key.endswith(_IDLE)]
    if left:
        raise InvalidModel(
            "{name} has weights that its config.json has no place for ({left}): {advice}",
            name=name,
            left=_join_names(left),
            advice=_TOGETHER,
        )
    if info.get("error_msgs"):
        said = " ".join(str(info["error_msgs"][0]).split())[:200]
        raise InvalidModel(
            "{name} cannot be loaded ({said}): {advice}", name=name, said=said, advice=_TOGETHER
        )


def _check_finite(name: str, module: torch.nn.Module, reporter: "_Reporter") -> None:
    """Raise InvalidModel for a parameter with NaN or infinity."""
    parameters = list(module.named_parameters())
    for number, (key, weights) in enumerate(parameters, start=1):
        if weights.numel() and not _is_finite(weights):
            raise InvalidModel(
                "{name} is damaged: {key} holds numbers that are not finite: {advice}",
                name=name,
                key=key,
                advice=Message("download or copy it again"),
            )
        reporter.tell(_READING + (1 - _READING) * number / len(parameters))


def _is_finite(weights: torch.Tensor) -> bool:
    """Return whether all numbers of a tensor are finite."""
    # One pass without a copy; NaN and infinity both show in the extremes.
    return bool(torch.isfinite(torch.stack(torch.aminmax(weights))).all())


def _join_names(names: Collection[str] | Iterator[str]) -> str:
    """Return the first few names, and how many more there are."""
    found = sorted(names)
    names = ", ".join(found[:3])
    if len(found) <= 3:
        return names
    return Message("{names} and {more:,} more", names=names, more=len(found) - 3)


def _load_failure(error: Exception, folder: HfFolder, device: str) -> GlasschatError:
    """Return the error that a user sees for what loading raised."""
    if isinstance(error, GlasschatError):
        return error
    if is_out_of_memory(error):
        return NotEnoughMemory(
            "{device} has not enough memory for the {parameters:,} parameters of {name}: {advice}",
            device=device,
            parameters=folder.parameters,
            name=folder.name,
            advice=Message("free memory, or choose a smaller model, dtype or device"),
        )
    return InvalidModel(
        "transformers cannot load {name} ({error}): look that up in its config.json, download "
        "the folder again, or choose another model",
        name=folder.name,
        error=one_line_error(error),
    )


class _Reporter:
    """Turns transformers' progress bar into shares, and keeps it off the terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._thread = threading.get_ident()
        self.raised: BaseException | None = None

    def tell(self, share: float) -> None:
        """Report a share; remember what the listener raises as its own."""
        try:
            self._progress(share)
        except BaseException as error:
            self.raised = error
            raise

    @contextmanager
    def reporting(self) -> Iterator["_Reporter"]:
        """Silence transformers, and receive its progress bars, inside the block."""
        with _hook_lock:
            verbosity = transformers.utils.logging.get_verbosity()
            before = transformers.utils.logging.set_tqdm_hook(self._bar)
            transformers.utils.logging.set_verbosity_error()
            try:
                yield self
            finally:
                transformers.utils.logging.set_tqdm_hook(before)
                transformers.utils.logging.set_verbosity(verbosity)

    def _bar(self, factory: Callable[..., Any], args: tuple[Any, ...], options: Any) -> Any:
        """Return a bar that reports, for this thread only."""
        if threading.get_ident() != self._thread:
            return factory(*args, **options)
        return _Bar(self, args[0] if args else options.get("iterable", ()))


class _Bar:
    """Replacement for a tqdm over the weights to load."""

    def __init__(self, reporter: _Reporter, items: Any) -> None:
        self._reporter = reporter
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        total = len(self._items)
        for number, item in enumerate(self._items, start=1):
            yield item
            self._reporter.tell(_READING * number / total)

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None
