"""A run that was told to stop never finds a value of its visit gone."""

import re
from pathlib import Path

import glasschat.web

DELETES = re.compile(r"session_state\s*\.\s*(pop|clear|popitem)\b|del (st\.)?session_state")


def test_nothing_is_deleted_from_a_visit() -> None:
    # Streamlit lists all keys, unlocked against the next run, in every widget that it draws.
    pages = Path(glasschat.web.__file__).parent
    offenders = [
        str(file.relative_to(pages))
        for file in pages.rglob("*.py")
        if DELETES.search(file.read_text(encoding="utf-8"))
    ]
    assert offenders == []
