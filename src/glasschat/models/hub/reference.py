"""References to models on the hub: hf:owner/name, or hf:owner/name/file.gguf."""

import re
from dataclasses import dataclass

from glasschat.errors import ModelNotFound

PREFIX = "hf:"
# As the hub has them: no two dots or dashes side by side, and none at an end.
_NAME = r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*"
_LONGEST = 96
_REFERENCE = re.compile(
    rf"hf:(?P<repo>{_NAME}/{_NAME})(?:@(?P<early>[\w.-]+))?(?:/(?P<file>[^@]+))?(?:@(?P<late>[\w./-]+))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository at a branch, tag or commit; `file` is empty for a whole model folder."""

    repo: str
    revision: str
    file: str

    def __str__(self) -> str:
        return self.repo + (f"/{self.file}" if self.file else "")


def is_reference(text: str) -> bool:
    """Return whether `text` is meant for the hub and not as a path; it may still be malformed."""
    return text.startswith(PREFIX)


def parse(text: str) -> Reference:
    """Parse `text` as a reference. Raises ModelNotFound, which says how one is written."""
    match = _REFERENCE.fullmatch(text)
    if match and not (match["early"] and match["late"]):
        file = match["file"] or ""
        revision = match["early"] or match["late"] or "main"
        steps = [*file.split("/"), *revision.split("/")] if file else revision.split("/")
        plain = all(step not in ("", ".", "..") and step.isprintable() for step in steps)
        named = len(match["repo"]) <= _LONGEST and not match["repo"].endswith(".git")
        if named and plain and "\\" not in file and (not file or file.endswith(".gguf")):
            return Reference(match["repo"], revision, file)
    raise ModelNotFound(
        "{text} names no model: write hf:owner/name for a folder, hf:owner/name/file.gguf for a "
        "GGUF, with @revision behind it if you like",
        text=repr(text[:200]),
    )
