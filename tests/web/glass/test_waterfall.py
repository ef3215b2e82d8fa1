"""A waterfall as JSON: numbers where they are known, "unknown" behind a custom stage."""

import json
from dataclasses import replace
from typing import cast

from glasschat.glass import waterfall
from glasschat.sampling import DEFAULT_ORDER, NO_STAGES
from glasschat.web.glass.token_text import TokenNames
from glasschat.web.glass.waterfall import waterfall_json
from tests.glass.test_custom_stage import reply

NAMES = cast(TokenNames, lambda token_id: f"#{token_id}")


def test_behind_a_custom_stage_cells_are_unknown_and_the_draw_keeps_its_recorded_share() -> None:
    trace = replace(reply("lifts", stages=("lifts", *DEFAULT_ORDER)).trace, stage_classes=NO_STAGES)
    place = int((trace.columns.kept[:, -1] > 1).argmax())
    found = waterfall_json(waterfall(trace, place), trace.params, NAMES)
    json.dumps(found, allow_nan=False)
    raw, lifts, *_, last = found["columns"]
    assert not raw["unknown"] and lifts["unknown"] and last["unknown"]
    assert lifts["kept"] == trace.columns.kept[place, 0] and lifts["rest"] is None
    assert "not known from the record" in lifts["lesson"][0]
    for row in found["candidates"]:
        assert isinstance(row["cells"][0], list) and set(row["cells"][1:]) == {"unknown"}
        assert row["interval"] is None
    share = f"{trace.columns.probability[place]:.1%}"
    assert found["story"][-1].endswith(f"which had {share} in the end.")


def test_with_other_settings_it_says_that_the_draw_is_not_known() -> None:
    trace = replace(reply("lifts").trace, stage_classes=NO_STAGES)
    place = int((trace.columns.kept[:, -1] > 1).argmax())
    params = replace(trace.params, top_p=0.99)
    found = waterfall_json(waterfall(trace, place, params), params, NAMES)
    last = found["columns"][-1]
    assert (last["kept"], last["mass"], last["rest"], last["recorded"]) == (None,) * 3 + (False,)
    assert found["story"][-1].endswith("falls is not known from the record.")
    assert "What the settings made of the candidates is not known" in " ".join(found["story"])
