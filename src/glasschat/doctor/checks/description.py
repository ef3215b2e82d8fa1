"""Checks of what the model states about itself: architecture, context, sampling settings, code."""

from collections.abc import Iterator

from glasschat.doctor.finding import Finding, report_failure, report_pass, report_warning
from glasschat.doctor.formatting import (
    format_bytes,
    format_number,
    list_first,
    plural,
    quote,
    split_advice,
)
from glasschat.doctor.metadata import ModelMetadata
from glasschat.sampling import SETTINGS

# Meta's 3.1 and later name a context of 131,072 and bring it about by scaled frequencies; files
# converted before July 2024 lack them, and go wrong beyond what 3.0 was trained for.
_LLAMA3_BASE, _LLAMA3_ROWS, _LLAMA3_CONTEXT = 500_000.0, 128_256, 8192
# Between these a figure of the architecture must lie.
_FIGURES = {
    "num_hidden_layers": (0, 10_000),
    "hidden_size": (0, 1 << 24),
    "rms_norm_eps": (0, 0.1),
    "rope_theta": (0, 1e15),
}
_NAMED = {
    "num_hidden_layers": "layers",
    "hidden_size": "wide",
    "num_attention_heads": "heads",
    "num_key_value_heads": "of keys and values",
    "num_experts": "experts",
}
# Outside these a recommendation is a mistake; by the names of folders and of GGUF files.
_RANGES = {
    name: row.plausible
    for row in SETTINGS.values()
    if "gguf" in row.wire
    for name in (row.wire["generation_config"], row.wire["gguf"])
}


def model(metadata: ModelMetadata) -> Iterator[Finding]:
    """Report name, architecture, number of parameters and storage type."""
    details = {
        "name": metadata.name,
        "own_name": metadata.declared_name,
        "architecture": metadata.architecture,
        "parameters": metadata.parameters,
        "storage": metadata.storage,
        "weight_bytes": metadata.weight_bytes,
    }
    if not metadata.architecture:
        yield report_failure(
            "model",
            "it does not say what it is: there is no architecture",
            "get it again, from where it was first published",
            **details,
        )
        return
    tied = bool(metadata.embedding_rows) and not metadata.output_rows
    parts = [
        metadata.architecture,
        f"{_millions(metadata.parameters)} parameters" if metadata.parameters else "no weights",
        f"{metadata.storage}, {format_bytes(metadata.weight_bytes)}" if metadata.storage else "",
        plural(metadata.files, "file") if metadata.files > 1 else "",
        "output tied to the embedding" if tied else "",
    ]
    calls_itself = (
        f" (calls itself {quote(metadata.declared_name)})" if metadata.declared_name else ""
    )
    yield report_pass(
        "model", f"{metadata.name}{calls_itself}: " + ", ".join(filter(None, parts)), **details
    )


def context(metadata: ModelMetadata) -> Iterator[Finding]:
    """Report the context length, and check that the rotary positions reach as far."""
    rope = metadata.rope
    details = {
        "context": metadata.context,
        "rope_base": rope.base,
        "rope_scaling": rope.scaling,
        "rope_factor": rope.factor,
        "rope_original": rope.original,
    }
    if not metadata.context:
        yield report_warning(
            "context",
            "it does not say for how long a context it was made",
            "find it out from its publisher, and give it with --context",
            **details,
        )
        return
    summary = f"{metadata.context:,} tokens ({metadata.context_source})"
    if rope.base:
        summary += f", rotary base {format_number(rope.base)}"
    summary += f", scaled by {rope.scaling}" if rope.scaling else ", not scaled"
    summary += f" times {format_number(rope.factor)}" if rope.factor else ""
    summary += f" from {rope.original:,}" if rope.original else ""
    unscaled_llama3 = (
        metadata.architecture.lower().startswith("llama")
        and metadata.embedding_rows == _LLAMA3_ROWS
        and rope.base == _LLAMA3_BASE
        and not rope.scaling
        and metadata.context > _LLAMA3_CONTEXT
    )
    if unscaled_llama3:
        yield report_warning(
            "context",
            f"{summary}; Llama 3.1 and later need scaled frequencies beyond "
            f"{_LLAMA3_CONTEXT:,} tokens, and it brings none",
            f"use --context {_LLAMA3_CONTEXT}, or get a newer conversion",
            **details,
        )
    elif rope.factor and rope.original and metadata.context > rope.original * rope.factor * 1.01:
        yield report_warning(
            "context",
            f"{summary}, which reaches to {format_number(rope.original * rope.factor)}",
            f"use --context {int(rope.original * rope.factor)}",
            **details,
        )
    else:
        yield report_pass("context", summary, **details)


def figures(metadata: ModelMetadata) -> Iterator[Finding]:
    """Report the figures of the architecture, and fail for those that no model can have."""
    shape = metadata.shape
    wrong = [
        f"{name} {format_number(shape[name])}"
        for name, (low, high) in _FIGURES.items()
        if name in shape and not low < shape[name] < high
    ]
    details = {"figures": dict(shape)}
    if wrong:
        yield report_failure(
            "figures",
            f"no model can have {list_first(wrong, 5)}",
            "get another conversion of the model, from a current converter",
            **details,
        )
        return
    named = [
        f"{format_number(shape[key])} {what}"
        for key, what in _NAMED.items()
        if key in shape and (key != "num_experts" or shape[key])
    ]
    yield report_pass("figures", ", ".join(named) or "none that are known", **details)


def supported(metadata: ModelMetadata) -> Iterator[Finding]:
    """Check that glasschat can run a folder.

    For a GGUF, opening the vocabulary shows whether llama.cpp knows it.
    """
    if metadata.kind == "GGUF":
        return
    if metadata.unsupported:
        yield report_failure("supported", *split_advice(metadata.unsupported, "use a GGUF of it"))
    elif metadata.tested:
        yield report_pass("supported", "tests hold its family to transformers' own logits")
    else:
        yield report_pass(
            "supported",
            "not a family that tests hold: it is compared with transformers' own logits each time "
            "it is loaded, and refused where they differ",
        )


def sampling(metadata: ModelMetadata) -> Iterator[Finding]:
    """Report the sampling settings that the model recommends."""
    details = {"source": metadata.sampling_source, "settings": dict(metadata.sampling)}
    if not metadata.sampling:
        yield report_pass(
            "sampling", "recommends no settings of its own: glasschat's defaults apply", **details
        )
        return
    named = ", ".join(f"{key} {_value(value)}" for key, value in metadata.sampling.items())
    wrong = [
        key
        for key, value in metadata.sampling.items()
        if key in _RANGES
        and isinstance(value, int | float)
        and not _RANGES[key][0] <= value <= _RANGES[key][1]
    ]
    if wrong:
        yield report_warning(
            "sampling",
            f"{metadata.sampling_source} recommends {named}: {list_first(wrong)} cannot be meant",
            "leave the recommendation aside; glasschat's defaults apply unless you choose it",
            **details,
        )
    else:
        yield report_pass("sampling", f"{metadata.sampling_source} recommends {named}", **details)


def code(metadata: ModelMetadata) -> Iterator[Finding]:
    """Check that the model brings no code that would have to be run."""
    if metadata.code:
        yield report_failure(
            "code",
            f"it brings code that would run on this machine: {list_first(metadata.code, 5)}",
            "use a version with safetensors only and without auto_map, or a GGUF of it",
            parts=list(metadata.code),
        )
    elif metadata.kind == "GGUF":
        yield report_pass(
            "code", "a GGUF carries no code but its template, which runs in a sandbox"
        )
    else:
        beside = (
            f"; never opened: {list_first(metadata.ignored_files)}"
            if metadata.ignored_files
            else ""
        )
        yield report_pass("code", f"no auto_map, weights in safetensors{beside}")


def _value(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return quote(value) if isinstance(value, str) else str(value).lower()
    return format_number(value)


def _millions(count: int) -> str:
    if count >= 10**9:
        return f"{count / 10**9:.2f} billion"
    return f"{count / 10**6:.1f} million" if count >= 10**6 else f"{count:,}"
