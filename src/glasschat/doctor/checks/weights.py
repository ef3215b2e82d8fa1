"""Checks that weights are numbers, on samples, without loading them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from glasschat.doctor.finding import Finding, report_failure, report_pass, report_warning
from glasschat.doctor.formatting import format_bytes, list_first, plural, split_advice
from glasschat.doctor.metadata import ModelMetadata, TensorLocation
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
class _TensorSample:
    """Result of sampling one tensor: bytes read, NaN or infinity found, only zeros found."""

    tensor: TensorLocation
    read: int
    broken: bool
    zeros: bool


def weights(metadata: ModelMetadata) -> Iterator[Finding]:
    """Sample every tensor for NaN, infinity and holes of zeros."""
    if not metadata.tensors:
        yield report_failure(
            "weights",
            "there are none: a vocabulary and a template without a model",
            "get the file that has the weights; this one is for looking at prompts",
            tensors=0,
        )
        return
    samples = list(_sample_tensors(metadata.tensors))
    read = sum(sample.read for sample in samples)
    broken = [sample.tensor.name for sample in samples if sample.broken]
    matrices = [sample for sample in samples if len(sample.tensor.shape) > 1]
    zeros = [sample.tensor.name for sample in matrices if sample.zeros]
    details = {"tensors": len(samples), "bytes_read": read, "broken": broken, "zeros": zeros}
    summary = f"{plural(len(samples), 'tensor')}, {format_bytes(read)} of them looked at"
    last = max(samples, key=lambda sample: (str(sample.tensor.path), sample.tensor.offset))
    if broken:
        yield report_failure(
            "weights",
            f"{plural(len(broken), 'tensor')} of {len(samples):,} hold what is no number: "
            f"{list_first(broken)}",
            _AGAIN,
            **details,
        )
    elif zeros and (last.tensor.name in zeros or len(zeros) > _MANY * len(matrices)):
        yield report_failure(
            "weights",
            f"{plural(len(zeros), 'matrix', 'matrices')} of {len(matrices):,} hold only zeros, "
            f"as where a download left holes: {list_first(zeros)}",
            _AGAIN,
            **details,
        )
    elif zeros:
        yield report_warning(
            "weights",
            f"{summary}; only zeros in {list_first(zeros)}",
            f"if its publisher does not say why, {_AGAIN}",
            **details,
        )
    else:
        yield report_pass("weights", f"{summary}: all numbers, no holes", **details)


def _sample_tensors(tensors: tuple[TensorLocation, ...]) -> Iterator[_TensorSample]:
    path, file = None, None
    try:
        for tensor in sorted(tensors, key=lambda t: (str(t.path), t.offset)):
            if tensor.path != path:
                if file is not None:
                    file.close()
                path, file = tensor.path, tensor.path.open("rb")
            assert file is not None
            yield _sample_tensor(file, tensor)
    finally:
        if file is not None:
            file.close()


def _sample_tensor(file: BinaryIO, tensor: TensorLocation) -> _TensorSample:
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
        numbers = _checkable_numbers(tensor.type, data)
        broken = broken or not bool(np.isfinite(numbers).all())
        zeros = zeros and not any(data)
    return _TensorSample(tensor, read, broken, zeros and read > 0)


def _checkable_numbers(kind: str, data: bytes) -> NDArray[np.floating]:
    """Return the numbers in `data` that could be NaN or infinite.

    They are all values of float types, and the scales of quantised blocks. The array is 1-D, of
    float16, float32 or float64.
    """
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
    """Report whether llama.cpp accepts the figures and the shapes, before it reads a weight."""
    if trial.model:
        yield report_failure(
            "loading",
            *split_advice(trial.model, "get another conversion, from a current converter"),
        )
    else:
        yield report_pass(
            "loading", "llama.cpp takes its figures and the shapes of all its tensors"
        )
