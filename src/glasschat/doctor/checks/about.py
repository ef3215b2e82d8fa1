"""What the model is, how long its context is, what it recommends, what it brings along."""

from collections.abc import Iterator

from glasschat.doctor.facts import Facts
from glasschat.doctor.finding import Finding, failed, passed, warned
from glasschat.doctor.words import number, parted, plural, quoted, size, some
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


def model(facts: Facts) -> Iterator[Finding]:
    """Name, architecture, parameters, how they are stored."""
    details = {
        "name": facts.name,
        "own_name": facts.own_name,
        "architecture": facts.architecture,
        "parameters": facts.parameters,
        "storage": facts.storage,
        "weight_bytes": facts.weight_bytes,
    }
    if not facts.architecture:
        yield failed(
            "model",
            "it does not say what it is: there is no architecture",
            "get it again, from where it was first published",
            **details,
        )
        return
    tied = bool(facts.embedding_rows) and not facts.output_rows
    parts = [
        facts.architecture,
        f"{_millions(facts.parameters)} parameters" if facts.parameters else "no weights",
        f"{facts.storage}, {size(facts.weight_bytes)}" if facts.storage else "",
        plural(facts.files, "file") if facts.files > 1 else "",
        "output tied to the embedding" if tied else "",
    ]
    calls_itself = f" (calls itself {quoted(facts.own_name)})" if facts.own_name else ""
    yield passed(
        "model", f"{facts.name}{calls_itself}: " + ", ".join(filter(None, parts)), **details
    )


def context(facts: Facts) -> Iterator[Finding]:
    """How long the context is, and whether the positions reach as far."""
    rope = facts.rope
    details = {
        "context": facts.context,
        "rope_base": rope.base,
        "rope_scaling": rope.scaling,
        "rope_factor": rope.factor,
        "rope_original": rope.original,
    }
    if not facts.context:
        yield warned(
            "context",
            "it does not say for how long a context it was made",
            "find it out from its publisher, and give it with --context",
            **details,
        )
        return
    said = f"{facts.context:,} tokens ({facts.context_source})"
    if rope.base:
        said += f", rotary base {number(rope.base)}"
    said += f", scaled by {rope.scaling}" if rope.scaling else ", not scaled"
    said += f" times {number(rope.factor)}" if rope.factor else ""
    said += f" from {rope.original:,}" if rope.original else ""
    unscaled_llama3 = (
        facts.architecture.lower().startswith("llama")
        and facts.embedding_rows == _LLAMA3_ROWS
        and rope.base == _LLAMA3_BASE
        and not rope.scaling
        and facts.context > _LLAMA3_CONTEXT
    )
    if unscaled_llama3:
        yield warned(
            "context",
            f"{said}; Llama 3.1 and later need scaled frequencies beyond "
            f"{_LLAMA3_CONTEXT:,} tokens, and it brings none",
            f"use --context {_LLAMA3_CONTEXT}, or get a newer conversion",
            **details,
        )
    elif rope.factor and rope.original and facts.context > rope.original * rope.factor * 1.01:
        yield warned(
            "context",
            f"{said}, which reaches to {number(rope.original * rope.factor)}",
            f"use --context {int(rope.original * rope.factor)}",
            **details,
        )
    else:
        yield passed("context", said, **details)


def figures(facts: Facts) -> Iterator[Finding]:
    """The figures of the architecture, and those that no model can have."""
    shape = facts.shape
    wrong = [
        f"{name} {number(shape[name])}"
        for name, (low, high) in _FIGURES.items()
        if name in shape and not low < shape[name] < high
    ]
    details = {"figures": dict(shape)}
    if wrong:
        yield failed(
            "figures",
            f"no model can have {some(wrong, 5)}",
            "get another conversion of the model, from a current converter",
            **details,
        )
        return
    named = [
        f"{number(shape[key])} {what}"
        for key, what in _NAMED.items()
        if key in shape and (key != "num_experts" or shape[key])
    ]
    yield passed("figures", ", ".join(named) or "none that are known", **details)


def supported(facts: Facts) -> Iterator[Finding]:
    """Whether glasschat can run it; what llama.cpp knows shows when the vocabulary is opened."""
    if facts.kind == "GGUF":
        return
    if facts.unsupported:
        yield failed("supported", *parted(facts.unsupported, "use a GGUF of it"))
    elif facts.proven:
        yield passed("supported", "tests hold its family to transformers' own logits")
    else:
        yield passed(
            "supported",
            "not a family that tests hold: it is compared with transformers' own logits each time "
            "it is loaded, and refused where they differ",
        )


def sampling(facts: Facts) -> Iterator[Finding]:
    """What settings the model recommends."""
    details = {"source": facts.sampling_source, "settings": dict(facts.sampling)}
    if not facts.sampling:
        yield passed(
            "sampling", "recommends no settings of its own: glasschat's defaults apply", **details
        )
        return
    named = ", ".join(f"{key} {_value(value)}" for key, value in facts.sampling.items())
    wrong = [
        key
        for key, value in facts.sampling.items()
        if key in _RANGES
        and isinstance(value, int | float)
        and not _RANGES[key][0] <= value <= _RANGES[key][1]
    ]
    if wrong:
        yield warned(
            "sampling",
            f"{facts.sampling_source} recommends {named}: {some(wrong)} cannot be meant",
            "leave the recommendation aside; glasschat's defaults apply unless you choose it",
            **details,
        )
    else:
        yield passed("sampling", f"{facts.sampling_source} recommends {named}", **details)


def code(facts: Facts) -> Iterator[Finding]:
    """Whether it brings programs along."""
    if facts.code:
        yield failed(
            "code",
            f"it brings code that would run on this machine: {some(facts.code, 5)}",
            "use a version with safetensors only and without auto_map, or a GGUF of it",
            parts=list(facts.code),
        )
    elif facts.kind == "GGUF":
        yield passed("code", "a GGUF carries no code but its template, which runs in a sandbox")
    else:
        beside = f"; never opened: {some(facts.unopened)}" if facts.unopened else ""
        yield passed("code", f"no auto_map, weights in safetensors{beside}")


def _value(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return quoted(value) if isinstance(value, str) else str(value).lower()
    return number(value)


def _millions(count: int) -> str:
    if count >= 10**9:
        return f"{count / 10**9:.2f} billion"
    return f"{count / 10**6:.1f} million" if count >= 10**6 else f"{count:,}"
