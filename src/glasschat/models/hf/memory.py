"""Memory that a model folder needs on its device, and memory that is free there."""

from glasschat.models.hf import config_json
from glasschat.models.hf.folder import HfFolder
from glasschat.models.memory import MemoryNeed, available_bytes

# The longest chunk of a prompt that a step computes.
CHUNK = 512
# What torch keeps for itself: on a CPU 115 MB were seen beside SmolLM2-135M; on CUDA a guess, for
# its kernels' workspaces and the memory of captured graphs.
CPU_OVERHEAD = 192 * 2**20
CUDA_OVERHEAD = 1024 * 2**20
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def hf_memory_need(
    folder: HfFolder, *, context: int, slots: int, device: str, dtype: str
) -> MemoryNeed:
    """Return what the model of `folder` needs on `device` in `dtype`, and what is free there.

    Both are chosen already: neither is "auto".
    """
    size = BYTES[dtype]
    return MemoryNeed(
        weights=folder.parameters * size,
        per_token=_cached_per_token(folder) * size,
        vocab_size=0,
        context=context,
        slots=slots,
        available=free_bytes(device),
        workspace=_workspace(folder, context, slots, size, device),
        place="" if device == "cpu" else device,
    )


def free_bytes(device: str) -> int:
    """Return the free memory of `device` in bytes; Apple's GPU shares the machine's."""
    if not device.startswith("cuda"):
        return available_bytes()

    from glasschat.models.hf.library import torch

    free, _ = torch.cuda.mem_get_info(device)
    return int(free)


def _cached_per_token(folder: HfFolder) -> int:
    """Return how many numbers one position takes in all layers."""
    latent = _latent(folder)
    if latent is not None:
        return folder.layers * (latent["kv_lora_rank"] + latent["qk_rope_head_dim"])
    part = config_json.text_config(folder.config)
    wide = part.get("global_head_dim")
    kinds = part.get("layer_types")
    if isinstance(wide, int) and isinstance(kinds, list) and folder.layers:
        # Gemma 4: what sees everything has wider heads.
        usual = folder.kv_elements_per_token // folder.layers
        full = 2 * wide * config_json.kv_heads(folder.config)
        return sum(full if kind == "full_attention" else usual for kind in kinds)
    return folder.kv_elements_per_token


def _latent(folder: HfFolder) -> dict[str, int] | None:
    """Return the widths of latent attention (DeepSeek), which caches keys and values packed."""
    part = config_json.text_config(folder.config)
    names = ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
    widths = {name: part.get(name) for name in names}
    found = {name: width for name, width in widths.items() if isinstance(width, int)}
    return found if len(found) == len(names) else None


def _workspace(folder: HfFolder, context: int, slots: int, size: int, device: str) -> int:
    """Return the bytes of one layer's activations, mask, unpacked cache, logits and overhead."""
    part = config_json.text_config(folder.config)
    hidden = config_json.number(folder.config, "hidden")
    inner = next(
        (
            value
            for value in (part.get("intermediate_size"), part.get("n_inner"))
            if isinstance(value, int) and value > 0
        ),
        4 * hidden,
    )
    activations = CHUNK * (6 * hidden + 3 * inner) * size
    # Made as booleans, then as what is added to the scores.
    mask = CHUNK * context * (2 + size)
    unpacked = 0
    if latent := _latent(folder):
        width = sum(latent.values()) - latent["kv_lora_rank"]
        unpacked = slots * context * config_json.number(folder.config, "heads") * width * size
    logits = slots * folder.vocab_size * (size + 4)
    overhead = CUDA_OVERHEAD if device.startswith("cuda") else CPU_OVERHEAD
    return activations + mask + unpacked + logits + overhead
