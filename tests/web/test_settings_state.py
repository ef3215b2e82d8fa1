"""What is typed into the widgets becomes settings, and comes back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.chat.presets import LIMIT_FIELDS, SAMPLING_FIELDS, Preset
from glasschat.web.language import Language, speaking
from glasschat.web.settings.fields import NUMBERS, SLIDERS, format_value, label, summary
from glasschat.web.settings.state import format_stops, parse_stops

texts = st.text(min_size=1, max_size=6).filter(lambda t: "\r\n" not in t)


@given(st.lists(texts, max_size=4).map(tuple))
def test_every_stop_string_can_be_written_in_a_line(stops: tuple[str, ...]) -> None:
    assert parse_stops(format_stops(stops)) == stops


def test_a_line_means_what_it_says() -> None:
    assert parse_stops("User:\n\n\\n\\n\nC:\\temp\n\\\\n\n ") == (
        "User:",
        "\n\n",
        "C:\\temp",
        "\\n",
        " ",
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("temperature", 0.7, "0.70"),
        ("repetition_penalty", 1.005, "1.005"),
        ("temperature", 1 / 3, "0.333333"),
        ("max_length", 8192, "8,192"),
        ("do_sample", False, "off"),
        ("seed", 12345, "12345"),
        ("max_new_tokens", None, "none"),
        ("stop", ("\n\n", "User:"), "'\\n\\n', 'User:'"),
    ],
)
def test_values_are_written_as_people_read_them(name: str, value: object, said: str) -> None:
    assert format_value(name, value) == said


def test_a_presets_line_tells_what_is_on() -> None:
    preset = Preset(
        "mine", {"temperature": 0.0, "repetition_penalty": 1.0, "top_p": 1.0, "seed": 7}
    )
    assert summary(preset) == "Temperature 0.00 · Seed 7"
    with speaking(Language.CHINESE):
        assert summary(preset) == "温度 0.00 · 随机种子 7"


def test_every_setting_of_a_preset_has_a_name_for_people() -> None:
    names = {label(name) for name in (*SAMPLING_FIELDS, *LIMIT_FIELDS)}
    assert len(names) == len((*SAMPLING_FIELDS, *LIMIT_FIELDS)) and all(
        name[0].isupper() for name in names
    )


def test_a_widget_takes_every_value_that_a_reply_can_be_made_with() -> None:
    """Else somebody's import or preset would be bent without a word."""
    limits = {field.name: (field.low, field.high) for field in (*SLIDERS, *NUMBERS)}
    assert limits["top_k"] == (0, 2**31 - 1) and limits["temperature"] == (0.0, 100.0)
    assert limits["typical_p"] == (0.01, 1.0), "0 itself is no value"
    for field in (*SLIDERS, *NUMBERS):
        assert type(field.low) is type(field.high) is type(field.typed(1))
