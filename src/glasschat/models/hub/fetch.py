"""Models by name from the hub, through huggingface_hub and its cache.

What is complete in the cache is used without asking the network; for a newer one, remove it there
(`hf cache rm`) or name its revision.
"""

from pathlib import Path

from glasschat.errors import MissingExtra, ModelError
from glasschat.messages import Message
from glasschat.models.hf.shards import find_shards
from glasschat.models.hub.errors import translate_errors
from glasschat.models.hub.files import DECISIVE, TOKENIZERS, split_parts
from glasschat.models.hub.reference import Reference, is_reference, parse
from glasschat.models.hub.snapshot import Progress, SnapshotDownload, in_cache

__all__ = ["fetch", "is_reference"]


def fetch(text: str, progress: Progress = lambda done, total: None) -> Path:
    """Return the folder or the GGUF on this machine for a reference; download it if needed.

    `progress` is called with how many bytes are there, and how many there will be in all; what it
    raises ends the download and is raised from here. The next call continues it. Raises ModelError
    for a missing repository or file, no access, no network or no room; MissingExtra without
    huggingface_hub.
    """
    reference = parse(text)
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise MissingExtra(
            "{text} needs huggingface_hub, which is not installed ({error}): {advice}",
            text=text,
            error=error,
            advice=Message("pip install 'glasschat[hf]'"),
        ) from None
    cached = _cached(reference)
    if cached is not None and (reference.file or _is_known(reference)):
        return cached

    def tell(done: int, total: int) -> None:
        try:
            progress(done, total)
        except BaseException as error:
            raise _Ended(error) from None

    try:
        with translate_errors(reference, Path(constants.HF_HUB_CACHE)):
            return SnapshotDownload(reference, tell).run()
    except _Ended as ended:
        raise ended.reason from None
    except ModelError:
        # All that it needs may be there, with small files that other programs did not ask for.
        if cached is not None:
            return cached
        raise


def _cached(reference: Reference) -> Path | None:
    """Return the model's path in the cache, if it is complete there."""
    if reference.file:
        found = [in_cache(reference, part) for part in split_parts(reference.file)]
        return found[0] if all(found) else None
    config = in_cache(reference, "config.json")
    if config is None:
        return None
    inside = sorted(path.name for path in config.parent.iterdir())
    try:
        find_shards(config.parent, inside, {})
    except ModelError:
        return None
    return config.parent if any(name in inside for name in TOKENIZERS) else None


def _is_known(reference: Reference) -> bool:
    """Return whether the cache knows of each decisive file that it exists or does not."""
    from huggingface_hub import try_to_load_from_cache

    return all(
        try_to_load_from_cache(reference.repo, name, revision=reference.revision) is not None
        for name in DECISIVE
    )


class _Ended(BaseException):
    """Carries what `progress` raised past the handlers of network errors."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason
