"""Whether the weights are numbers, looked at here and there without loading them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from glasschat.doctor.facts import Facts, TensorPlace
from glasschat.doctor.finding import Finding, failed, passed, warned
from glasschat.doctor.words import parted, plural, size, some
from glasschat.models.gguf.types import TENSOR_TYPES
from glasschat.models.llama_cpp.preflight import PreflightResult

# Of each tensor so many places are read, each of so many bytes: a quarter of a megabyte in all.
PLACES = 16
PLACE_BYTES = 16_384
# More matrices of zeros than this share are no design, but a download with holes.
_MANY = 0.05
_AGAIN = "get the files again, and compare their checksums with the publisher's"

# Where the half-precision scales lie in a block of each quantised type, as ggml lays them out.
# What is not here has no number that could fail to be one.
_SCALES: dict[str, tuple[int, ...]] = {
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,),
    "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,),
    "IQ2_XXS": (0,), "IQ2_XS": (0,), "IQ2_S": (0,), "IQ3_XXS": (0,), "IQ3_S": (0,),
    "IQ1_S": (0,), "IQ4_NL": (0,), "IQ4_XS": (0,), "TQ1_0": (52,), "TQ2_0": (64,),
}  # fmt: skip
_BLOCK_BYTES = {name: size for name, _, size in TENSOR_TYPES.values()}
_FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


@dataclass(frozen=True, slots=True)
class _Look:
    """What a tensor showed."""

    tensor: TensorPlace
    read: int
    broken: bool
    zeros: bool


def weights(facts: Facts) -> Iterator[Finding]:
    """Sample every tensor for what is no number, and for holes of zeros."""
    if not facts.tensors:
        yield failed(
            "weights",
            "there are none: a vocabulary and a template without a model",
            "get the file that has the weights; this one is for looking at prompts",
            tensors=0,
        )
        return
    looks = list(_look_at_all(facts.tensors))
    read = sum(look.read for look in looks)
    broken = [look.tensor.name for look in looks if look.broken]
    matrices = [look for look in looks if len(look.tensor.shape) > 1]
    zeros = [look.tensor.name for look in matrices if look.zeros]
    details = {"tensors": len(looks), "bytes_read": read, "broken": broken, "zeros": zeros}
    looked = f"{plural(len(looks), 'tensor')}, {size(read)} of them looked at"
    last = max(looks, key=lambda look: (str(look.tensor.path), look.tensor.offset))
    if broken:
        yield failed(
            "weights",
            f"{plural(len(broken), 'tensor')} of {len(looks):,} hold what is no number: "
            f"{some(broken)}",
            _AGAIN,
            **details,
        )
    elif zeros and (last.tensor.name in zeros or len(zeros) > _MANY * len(matrices)):
        yield failed(
            "weights",
            f"{plural(len(zeros), 'matrix', 'matrices')} of {len(matrices):,} hold only zeros, "
            f"as where a download left holes: {some(zeros)}",
            _AGAIN,
            **details,
        )
    elif zeros:
        yield warned(
            "weights",
            f"{looked}; only zeros in {some(zeros)}",
            f"if its publisher does not say why, {_AGAIN}",
            **details,
        )
    else:
        yield passed("weights", f"{looked}: all numbers, no holes", **details)


def _look_at_all(tensors: tuple[TensorPlace, ...]) -> Iterator[_Look]:
    path, file = None, None
    try:
        for tensor in sorted(tensors, key=lambda t: (str(t.path), t.offset)):
            if tensor.path != path:
                if file is not None:
                    file.close()
                path, file = tensor.path, tensor.path.open("rb")
            assert file is not None
            yield _look(file, tensor)
    finally:
        if file is not None:
            file.close()


def _look(file: BinaryIO, tensor: TensorPlace) -> _Look:
    unit = _BLOCK_BYTES.get(tensor.type, 8)
    length = max(PLACE_BYTES // unit, 1) * unit
    steps = max(1, min(PLACES, tensor.size // length))
    read, broken, zeros = 0, False, True
    for place in range(steps):
        # The first and the last place are the tensor's ends.
        last = max(0, tensor.size - length) // unit
        offset = last * place // max(1, steps - 1) * unit
        file.seek(tensor.offset + offset)
        data = file.read(min(length, tensor.size - offset))
        read += len(data)
        numbers = _numbers(tensor.type, data)
        broken = broken or not bool(np.isfinite(numbers).all())
        zeros = zeros and not any(data)
    return _Look(tensor, read, broken, zeros and read > 0)


def _numbers(kind: str, data: bytes) -> NDArray[np.floating]:
    """The numbers in `data` that could be none: all of floats, the scales of blocks."""
    if kind in _FLOATS:
        width = np.dtype(_FLOATS[kind]).itemsize
        return np.frombuffer(data[: len(data) // width * width], dtype=_FLOATS[kind])
    if kind == "BF16":
        halves = np.frombuffer(data[: len(data) // 2 * 2], dtype="<u2")
        return (halves.astype(np.uint32) << 16).view(np.float32)
    places = _SCALES.get(kind, ())
    block = _BLOCK_BYTES.get(kind, 1)
    rows = np.frombuffer(data[: len(data) // block * block], dtype=np.uint8).reshape(-1, block)
    scales = [np.ascontiguousarray(rows[:, at : at + 2]).view("<f2") for at in places]
    return np.concatenate(scales) if scales else np.empty(0, dtype=np.float16)


def loading(trial: PreflightResult) -> Iterator[Finding]:
    """What llama.cpp says of figures and shapes, before it reads a weight."""
    if trial.model:
        yield failed(
            "loading", *parted(trial.model, "get another conversion, from a current converter")
        )
    else:
        yield passed("loading", "llama.cpp takes its figures and the shapes of all its tensors")
