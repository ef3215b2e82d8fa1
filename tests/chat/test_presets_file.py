"""A preset file comes back as it was; one that somebody else wrote can do no harm."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.chat.presets import Preset, make_preset
from glasschat.chat.presets_file import MAX_PRESETS, MOST_BYTES, presets_as_file, presets_from_file
from glasschat.errors import InvalidImport
from tests.chat.test_presets import params


def file_of(*presets: Any, **more: Any) -> bytes:
    plain = {"format": "glasschat presets", "version": 1, "presets": list(presets), **more}
    return json.dumps(plain).encode()


@given(params, params)
def test_export_and_import_are_inverse(one: Any, other: Any) -> None:
    presets = (make_preset("one", one), make_preset("一 and 🌊", other))
    read = presets_from_file(presets_as_file(presets).encode())
    assert read.presets == presets
    assert read.skipped == ()


def test_a_setting_of_another_version_is_left_out_and_told() -> None:
    read = presets_from_file(
        file_of({"name": "new", "settings": {"top_k": 3, "mirostat": 2, "logit_bias": {"1": 2}}})
    )
    assert read.presets == (Preset("new", {"top_k": 3}),)
    said = {skipped.why for skipped in read.skipped}
    assert said == {
        "'mirostat' is no setting of a preset",
        "'logit_bias' is no setting of a preset",
    }


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (7, "no object"),
        ({"settings": {}}, "name is no text"),
        ({"name": ["x"], "settings": {}}, "name is no text"),
        ({"name": "", "settings": {}}, "1 to 60"),
        ({"name": "x" * 100_000, "settings": {}}, "1 to 60"),
        ({"name": "x"}, "settings is no object"),
        ({"name": "x", "settings": {"top_p": "much"}}, "top_p must be"),
        ({"name": "x", "settings": {"top_p": 10**400}}, "top_p must be"),
        ({"name": "x", "settings": {"temperature": "9" * 500_000}}, "temperature must be"),
        ({"name": "x", "settings": {"stop": ["a", ""]}}, "not empty"),
        ({"name": "x", "settings": {"seed": True}}, "seed must be"),
        ({"name": "original", "settings": {}}, "built in"),
        ({"name": "good", "settings": {}}, "another of that name"),
    ],
)
def test_a_preset_that_makes_no_sense_is_left_out_and_the_others_come(entry: Any, why: str) -> None:
    good = {"name": "good", "settings": {"top_k": 3}}
    read = presets_from_file(file_of(good, entry))
    assert read.presets == (Preset("good", {"top_k": 3}),)
    [skipped] = read.skipped
    assert why in skipped.why and len(skipped.why) <= 300 and len(skipped.where) <= 100


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no JSON"),
        (b"\x89PNG\r\n\x1a\n\xff", "UTF-8"),
        (b'{"format": "glasschat"}', "no presets"),
        (b"[1, 2]", "no presets"),
        (b"[" * 100_000, "nested too deep|no JSON"),
        (file_of(version=2), "version 2"),
        (file_of(version="one"), "version is no whole number"),
        (file_of(presets=None), "presets is no list"),
        (file_of(presets=[{}] * (MAX_PRESETS + 1)), "at most 200"),
        (b" " * (MOST_BYTES + 1), "at most 1 are read"),
        (b'{"format": "glasschat presets", "version": NaN}', "no chat"),
    ],
)
def test_a_file_that_is_none_says_so(data: bytes, why: str) -> None:
    with pytest.raises(InvalidImport, match=why):
        presets_from_file(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(InvalidImport) as caught:
        presets_from_file(data)
    assert "\n" not in str(caught.value)
