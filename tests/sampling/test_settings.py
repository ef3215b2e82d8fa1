"""The table of settings says of every setting what the rest of the program needs to know."""

from dataclasses import fields, replace

import pytest

from glasschat.api.fields import ReplySettings
from glasschat.backends.remote.dialect import DIALECTS
from glasschat.chat.presets import LIMIT_FIELDS, SAMPLING_FIELDS
from glasschat.sampling import (
    DEFAULT_ORDER,
    SETTINGS,
    STAGES,
    Group,
    SamplingParams,
    Setting,
    build_stages,
)

ROWS = list(SETTINGS.values())
STAGE_ROWS = [row for row in ROWS if row.stage]


def test_every_field_is_a_row_of_its_own_name_with_its_own_default() -> None:
    defaults = SamplingParams()
    assert [item.name for item in fields(SamplingParams)] == list(SETTINGS)
    for row in ROWS:
        assert getattr(defaults, row.name) == row.default, row.name


@pytest.mark.parametrize("row", [r for r in ROWS if r.default is not None], ids=lambda r: r.name)
def test_default_and_neutral_value_are_values_that_the_setting_takes(row: Setting) -> None:
    for value in (row.default, row.off):
        assert getattr(SamplingParams(**{row.name: value}), row.name) == value


def test_only_a_stage_with_a_default_of_its_own_runs_when_nothing_is_set() -> None:
    # What the demo sets that glasschat starts from.
    names = [stage.name for stage in build_stages(SamplingParams())]
    assert names == ["repetition_penalty", "temperature", "top_p"]


def test_with_all_settings_neutral_no_stage_runs() -> None:
    off = {row.name: row.off for row in ROWS}
    assert build_stages(SamplingParams(**off)) == ()


@pytest.mark.parametrize("row", STAGE_ROWS, ids=lambda row: row.name)
def test_a_stage_runs_under_its_own_name_once_its_setting_is_not_neutral(row: Setting) -> None:
    assert row.stage is not None
    neutral = SamplingParams(**{row.name: row.off for row in ROWS})
    value = {1: 0.5} if row.kind == "bias" else row.low + (0.5 if row.kind == "float" else 3)
    (stage,) = build_stages(replace(neutral, **{row.name: value}))
    assert STAGES[row.stage.name] is row.stage
    assert stage.kind == row.stage.kind


def test_processors_come_before_warpers() -> None:
    kinds = [STAGES[name].kind for name in DEFAULT_ORDER]
    assert kinds == sorted(kinds)


def test_what_a_preset_decides_has_a_label_and_a_number_has_a_step_and_help() -> None:
    for name in (*SAMPLING_FIELDS, *LIMIT_FIELDS):
        assert SETTINGS[name].label, name
    for row in ROWS:
        if row.is_number and row.group is Group.SAMPLING:
            assert row.step > 0 and row.help, row.name


def test_a_part_of_another_setting_names_one_that_there_is() -> None:
    for row in ROWS:
        if row.part_of:
            main = SETTINGS[row.part_of]
            assert main.stage is not None or SETTINGS[main.beside].stage is not None


def test_the_api_has_every_field_that_the_table_gives_it() -> None:
    for row in ROWS:
        if row.api_name:
            assert row.api_name in ReplySettings.model_fields


def test_a_setting_that_a_server_does_not_take_is_named() -> None:
    for kind, dialect in DIALECTS.items():
        for row in ROWS:
            takes = kind in row.wire or not row.beyond_openai
            assert takes == (row.name not in dialect.not_taken | dialect.ignored) or (
                row.name in dialect.ignored
            )
