"""Choice of the device and the number type of a Hugging Face model."""

from glasschat.errors import ParameterError
from glasschat.messages import Message
from glasschat.models.hf.library import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16")


def choose_device(asked: str) -> str:
    """Return the device for `asked`: auto, cpu, cuda, cuda:1 and so on, or mps.

    auto is CUDA where there is one, then Apple's GPU, then the CPU. Raises ParameterError for a
    device that does not exist, with what torch sees.
    """
    kind, _, number = asked.partition(":")
    if kind not in DEVICES or (number and (kind != "cuda" or not number.isdecimal())):
        raise ParameterError("device", "auto, cpu, cuda, cuda:N or mps", asked)
    if kind == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if kind == "cuda":
        _check_cuda(asked, int(number or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ParameterError(
            "device",
            Message("cpu: torch {version} sees no Apple GPU", version=torch.__version__),
            asked,
        )
    return asked


def choose_dtype(asked: str, device: str, stored: str) -> str:
    """Return the number type: `asked`, or what suits `device` and weights `stored` so.

    On a GPU that is what is stored, where the GPU can; on a CPU bfloat16 where the CPU has
    instructions for it and the weights are in it, float32 otherwise. float16 is slow on a CPU and
    never chosen there. Raises ParameterError for a type that is none of DTYPES.
    """
    if asked not in DTYPES:
        raise ParameterError("dtype", ", ".join(DTYPES), asked)
    if asked != "auto":
        return asked
    if device == "cpu":
        return "bfloat16" if stored == "bfloat16" and cpu_has_bfloat16() else "float32"
    if device.startswith("cuda"):
        halves = "bfloat16" if torch.cuda.is_bf16_supported(False) else "float16"
        return "float16" if stored == "float16" else halves
    return stored if stored in ("bfloat16", "float16") else "float16"


def dtype_warning(device: str, dtype: str) -> str | None:
    """Return one line on a choice that works but is slow; None for the others."""
    if device == "cpu" and dtype == "float16":
        return "float16 is several times slower than float32 on a CPU: choose another --dtype"
    if device == "cpu" and dtype == "bfloat16" and not cpu_has_bfloat16():
        return (
            "this CPU does not compute with bfloat16 by itself, which makes it slow: "
            "choose --dtype float32 if the memory allows"
        )
    return None


def cpu_has_bfloat16() -> bool:
    """Return whether the CPU has instructions for bfloat16."""
    return any(there for name, there in torch.cpu.get_capabilities().items() if "bf16" in name)


def _check_cuda(asked: str, number: int) -> None:
    """Raise ParameterError for a CUDA device that does not exist."""
    if torch.version.cuda is None and torch.version.hip is None:
        sees = Message(
            "torch {version} is built without CUDA: {advice}",
            version=torch.__version__,
            advice=Message("install a build with it"),
        )
    elif not torch.cuda.is_available():
        sees = Message("torch {version} finds no CUDA driver or no GPU", version=torch.__version__)
    elif number >= torch.cuda.device_count():
        sees = Message("torch sees {count} GPU", count=torch.cuda.device_count())
    else:
        return
    raise ParameterError(
        "device", Message("one that is there ({sees}), such as cpu", sees=sees), asked
    )
