"""A large file from the hub into its cache, going on where an earlier attempt ended.

huggingface_hub itself resumes a download only while it runs, and starts anew in the next process:
for files of gigabytes that is not good enough. What arrives here is checked against the hash that
the hub names, and put where huggingface_hub looks for it.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from glasschat.errors import ModelError

ATTEMPTS = 5
BLOCK = 1 << 20


def download(
    url: str,
    headers: Mapping[str, str],
    blob: Path,
    size: int,
    lock: Path,
    tell: Callable[[int], None],
) -> None:
    """Download `size` bytes from `url` to `blob`, whose name is their SHA-256.

    `lock` is a file by which several processes wait for each other. `tell` is called with how many
    bytes have arrived; what it raises ends the download, and what has arrived stays. Raises what
    huggingface_hub raises, OSError, and ModelError when the bytes do not have that hash.
    """
    from filelock import FileLock

    for path in (blob, lock):
        path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if blob.exists():
            tell(size)
            return
        part = part_of(blob)
        with part.open("ab+") as file:
            sink = _Sink(file, size, tell)
            sink.take_up()
            _fill(url, headers, sink)
        if sink.digest != blob.name:
            part.unlink()
            raise ModelError(
                "what arrived from {url} is not what the hub announces: start again",
                url=url.split("?")[0],
            )
        part.replace(blob)


def part_of(blob: Path) -> Path:
    """Return the path of the incomplete file of `blob`."""
    return blob.with_name(f"{blob.name}.glasschat.incomplete")


class _Sink:
    """File that grows to `size` bytes, hashed as it grows."""

    def __init__(self, file: Any, size: int, tell: Callable[[int], None]) -> None:
        self.size = size
        self.length = 0
        self._file = file
        self._tell = tell
        self._hash = hashlib.sha256()

    def take_up(self) -> None:
        """Hash and count the bytes that an earlier attempt has left."""
        self._file.seek(0)
        while block := self._file.read(BLOCK):
            self._hash.update(block)
            self.length += len(block)
        if self.length > self.size:
            self.start_anew()
        self._tell(self.length)

    def start_anew(self) -> None:
        """Discard all bytes and restart the hash."""
        self._file.truncate(0)
        self.length = 0
        self._hash = hashlib.sha256()

    def write(self, block: bytes) -> None:
        """Append `block`, up to `size` bytes in all."""
        block = block[: self.size - self.length]
        self._file.write(block)
        self._hash.update(block)
        self.length += len(block)
        self._tell(self.length)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of all bytes so far, in hexadecimal."""
        return self._hash.hexdigest()


def connection_lost() -> type[Exception]:
    """Return the exception that huggingface_hub's HTTP library raises for a lost connection."""
    from huggingface_hub import errors

    return cast(type[Exception], errors.HTTPError)  # type: ignore[attr-defined]


def _fill(url: str, headers: Mapping[str, str], sink: _Sink) -> None:
    """Request the missing bytes until none is missing, or several attempts in a row bring none."""
    from huggingface_hub.errors import HfHubHTTPError

    failures = 0
    while sink.length < sink.size:
        before = sink.length
        try:
            _stream(url, headers, sink)
            lost: Exception = ModelError("the connection was closed before the file was complete")
        except HfHubHTTPError as error:
            if error.response.status_code not in (408, 429, 500, 502, 503, 504):
                raise
            lost = error
        except connection_lost() as error:
            lost = error
        if sink.length == sink.size:
            return
        failures = 1 if sink.length > before else failures + 1
        if failures >= ATTEMPTS:
            raise lost
        time.sleep(failures)


def _stream(url: str, headers: Mapping[str, str], sink: _Sink) -> None:
    """Append the rest of one HTTP response to the file."""
    from huggingface_hub import constants, get_session, utils

    # Compressed bytes could be neither counted nor taken up in the middle.
    asked = {**headers, "Accept-Encoding": "identity"}
    if sink.length:
        asked["Range"] = f"bytes={sink.length}-"
    with get_session().stream(
        "GET", url, headers=asked, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
    ) as response:
        if response.status_code >= 400:
            response.read()
        utils.hf_raise_for_status(response)  # type: ignore[attr-defined]
        if sink.length and response.status_code != 206:
            sink.start_anew()
        for block in response.iter_bytes(BLOCK):
            sink.write(block)
