"""Files that are spoilt in one place are reported in the same words as before.

The words were written down by glasschat at commit 30da7c2, which checked strangers' JSON by hand.
"""

import gzip
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from glasschat.chat.exchange import import_file, read_trace
from glasschat.chat.presets_file import preset_as_json, presets_from_file
from glasschat.errors import InvalidImport
from glasschat.sampling import DEFAULT_ORDER
from tests.chat.exchange.mutations import (
    CHATGPT,
    MESSAGES,
    import_report,
    mutations,
    presets_report,
    trace_report,
)

BEFORE = Path(__file__).parents[2] / "data" / "written_before"
REPORTS = json.loads(gzip.decompress((BEFORE / "reports.json.gz").read_bytes()))


def chats() -> Any:
    plain = json.loads((BEFORE / "chats.json").read_bytes())
    plain["conversations"] = plain["conversations"][:1]
    plain["conversations"][0]["turns"] = plain["conversations"][0]["turns"][:4]
    return plain


def trace() -> Any:
    lines = (BEFORE / "trace.jsonl").read_bytes().splitlines()[:3]
    plain = [json.loads(line) for line in lines]
    plain[0] |= {"tokens": 2, "pieces": {"97": "a", "257": [200]}}
    return plain


FILES: dict[str, Any] = {
    "chats": (chats(), partial(import_report, import_file)),
    "chatgpt": (CHATGPT, partial(import_report, import_file)),
    "messages": (MESSAGES, partial(import_report, import_file)),
    "presets": (
        json.loads((BEFORE / "presets.json").read_bytes()),
        partial(presets_report, presets_from_file, preset_as_json),
    ),
    "trace": (trace(), partial(trace_report, read_trace)),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_spoilt_in_one_place_is_reported_as_before(kind: str) -> None:
    plain, report = FILES[kind]
    expected = REPORTS[kind]
    assert report(plain, InvalidImport) == expected["unspoilt"]
    differing = {}
    for label, spoilt in mutations(plain):
        if label not in expected:
            continue  # Of these the earlier version made no report, but an internal error.
        found = report(spoilt, InvalidImport)
        if not _is_same(found, expected[label] or expected["unspoilt"]):
            differing[label] = (expected[label], found)
    # That line names all stages, and there are more of them now.
    named = "stages must be each of"
    differing = {
        label: (then, now)
        for label, (then, now) in differing.items()
        if named not in then or named not in now
    }
    assert differing == {}
    assert len(expected) > 100


# A line that lists the stages lists today's; reports are cut, so that its end may be another.
STAGES_THEN = (
    "logit_bias, repetition_penalty, presence_penalty, frequency_penalty, no_repeat_ngram_size, "
    "min_new_tokens, temperature, top_k, top_p, min_p, typical_p"
)


def _is_same(found: str, expected: str) -> bool:
    if STAGES_THEN not in expected:
        return found == expected
    expected = expected.replace(STAGES_THEN, ", ".join(DEFAULT_ORDER))
    return found[:290] == expected[:290]
