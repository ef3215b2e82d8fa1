"""Download of one model from the hub, of the files that the cache lacks."""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from glasschat.errors import InvalidModel, ModelError
from glasschat.messages import Message
from glasschat.models.hf.bounded_json import INDEX_BYTES, read_object
from glasschat.models.hub.download import download, part_of
from glasschat.models.hub.errors import check_room
from glasschat.models.hub.files import (
    DECISIVE,
    INDEX,
    SINGLE,
    HubFile,
    config_files,
    gguf_files,
    likely_shards,
    weight_files,
)
from glasschat.models.hub.reference import Reference

Progress = Callable[[int, int], None]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# huggingface_hub fetches larger files in a way of its own only.
_LARGEST = 50_000_000_000
_LISTING_SECONDS = 20.0


def in_cache(reference: Reference, name: str) -> Path | None:
    """Return the path of the file `name` in the cache for this revision; None if it is missing."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(reference.repo, name, revision=reference.revision)
    return Path(found) if isinstance(found, str) else None


class SnapshotDownload:
    """One call of `fetch` that needs the network."""

    def __init__(self, reference: Reference, progress: Progress) -> None:
        from huggingface_hub import HfApi, constants

        self._reference = reference
        self._progress = progress
        self._cache = Path(constants.HF_HUB_CACHE)
        self._api = HfApi(library_name="glasschat")
        self._folder = "models--" + reference.repo.replace("/", "--")
        self._commit = ""
        self._done: dict[str, int] = {}
        self._total = 0

    def run(self) -> Path:
        """Download all that is needed, small files first; return the folder, or the first file."""
        files = self._list()
        reference = self._reference
        if reference.file:
            wanted = gguf_files(files, reference.file, reference.repo)
            found = self._fetch_all(wanted, wanted)[0]
        else:
            small = config_files(files, reference.repo)
            likely = weight_files(files, likely_shards(files), reference.repo)
            folder = self._fetch_all(small, [*small, *likely])[0].parent
            weights = weight_files(files, self._shards(folder, files), reference.repo)
            for name in DECISIVE:
                if name not in files:
                    self._note_absence(name)
            wanted = [*small, *weights]
            self._fetch_all(wanted, wanted)
            found = folder
        self._note_revision(wanted[0].name)
        return found

    def _list(self) -> dict[str, HubFile]:
        """List the files of the repository, and remember the commit."""
        try:
            found = self._api.model_info(
                self._reference.repo,
                revision=self._reference.revision,
                files_metadata=True,
                timeout=_LISTING_SECONDS,
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"a listing without {error}") from None
        self._commit = found.sha or ""
        if not _COMMIT.fullmatch(self._commit):
            raise ModelError(
                "the hub names no commit of {repo}: try again later", repo=self._reference.repo
            )
        return {
            sibling.rfilename: HubFile(sibling.rfilename, sibling.size or 0, _sha256_of(sibling))
            for sibling in found.siblings or ()
        }

    def _shards(self, folder: Path, files: Mapping[str, HubFile]) -> set[str]:
        """Return the files that the index names. Raises InvalidModel for one outside the folder."""
        if SINGLE in files:
            return set()
        where = (read_object(folder / INDEX, INDEX_BYTES) or {}).get("weight_map")
        names = set(where.values()) if isinstance(where, dict) else set()
        if not names or not all(
            isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name
            for name in names
        ):
            raise InvalidModel(
                "{index} of {repo} names no files of weights: {advice}",
                index=INDEX,
                repo=self._reference.repo,
                advice=Message("use another version of the model"),
            )
        return names

    def _fetch_all(self, wanted: Sequence[HubFile], planned: Sequence[HubFile]) -> list[Path]:
        """Download `wanted`, when the disk has room for all that is `planned`."""
        self._total = sum(file.size for file in planned)
        missing = sum(map(self._missing, planned))
        at = next(path for path in (self._cache, *self._cache.parents) if path.exists())
        check_room(self._reference, self._cache, missing, shutil.disk_usage(at).free)
        return [self._fetch(file) for file in wanted]

    def _missing(self, file: HubFile) -> int:
        """Return how many bytes of `file` are still to come."""
        if in_cache(self._at_commit(), file.name) is not None:
            return 0
        part = part_of(self._blob(file))
        there = part.stat().st_size if file.sha256 and part.exists() else 0
        return max(0, file.size - there)

    def _blob(self, file: HubFile) -> Path:
        return self._cache / self._folder / "blobs" / file.sha256

    def _fetch(self, file: HubFile) -> Path:
        from huggingface_hub import hf_hub_url, utils

        found = in_cache(self._at_commit(), file.name)
        if found is None:
            if file.sha256 and file.size <= _LARGEST:
                headers = utils.build_hf_headers(  # type: ignore[attr-defined]
                    library_name="glasschat"
                )
                download(
                    hf_hub_url(self._reference.repo, file.name, revision=self._commit),
                    headers,
                    self._blob(file),
                    file.size,
                    self._cache / ".locks" / self._folder / f"{file.sha256}.glasschat.lock",
                    lambda there: self._tell(file.name, there),
                )
            # It only links to what has arrived.
            found = self._by_library(file.name, self._commit)
        self._tell(file.name, file.size)
        return found

    def _by_library(self, name: str, revision: str) -> Path:
        """Have huggingface_hub put a file in its place in the cache."""
        from huggingface_hub import hf_hub_download, utils

        quiet: Any = utils.silent_tqdm  # type: ignore[attr-defined]
        return Path(
            hf_hub_download(self._reference.repo, name, revision=revision, tqdm_class=quiet)
        )

    def _note_absence(self, name: str) -> None:
        """Record in the cache that there is no such file."""
        from huggingface_hub.errors import EntryNotFoundError

        with suppress(EntryNotFoundError):
            self._by_library(name, self._commit)

    def _note_revision(self, name: str) -> None:
        """Record in the cache which commit a branch means, now that all of it is there."""
        if self._reference.revision != self._commit:
            self._by_library(name, self._reference.revision)

    def _at_commit(self) -> Reference:
        return Reference(self._reference.repo, self._commit, self._reference.file)

    def _tell(self, name: str, there: int) -> None:
        self._done[name] = there
        self._progress(sum(self._done.values()), self._total)


def _sha256_of(sibling: Any) -> str:
    sha256 = getattr(sibling.lfs, "sha256", None) or ""
    return sha256 if _SHA256.fullmatch(sha256) else ""
