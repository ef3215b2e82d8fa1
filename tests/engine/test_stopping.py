"""A stop string ends the reply wherever the token boundaries fall, and is never shown."""

from hypothesis import example, given
from hypothesis import strategies as st

from glasschat.engine.output_text import StopStrings

LETTERS = st.text(alphabet="ab\n", max_size=6)


def shown(deltas: list[str], stops: list[str]) -> tuple[list[str], bool]:
    scanner = StopStrings(stops)
    parts: list[str] = []
    for delta in deltas:
        part, stopped = scanner.push(delta)
        parts.append(part)
        if stopped:
            return parts, True
    return [*parts, scanner.flush()], False


@given(st.lists(LETTERS, max_size=12), st.lists(LETTERS.filter(bool), min_size=1, max_size=3))
@example(["a", "b", "a", "a"], ["aba", "ba"])
def test_text_is_cut_before_the_first_stop_string(deltas: list[str], stops: list[str]) -> None:
    """However the text is cut into tokens, the cut is where a search in the whole would put it:
    before the stop string that is complete first."""
    text = "".join(deltas)
    parts, stopped = shown(deltas, stops)
    if not any(stop in text for stop in stops):
        assert not stopped
        assert "".join(parts) == text
        return
    assert stopped
    seen = "".join(parts)
    assert text.startswith(seen)
    assert any(text.startswith(stop, len(seen)) for stop in stops)
    assert not any(stop in seen for stop in stops)


@given(st.lists(LETTERS, max_size=12), LETTERS.filter(bool))
def test_nothing_of_a_stop_string_is_shown_on_the_way(deltas: list[str], stop: str) -> None:
    scanner = StopStrings([stop])
    seen = ""
    for delta in deltas:
        part, stopped = scanner.push(delta)
        seen += part
        if stopped:
            break
    assert stop not in seen


def test_text_that_only_began_like_a_stop_string_comes_out() -> None:
    assert shown(["one ST", "OP", "!"], ["STOPS"]) == (["one ", "", "STOP!", ""], False)


def test_without_stop_strings_nothing_is_held_back() -> None:
    assert shown(["a", "b"], []) == (["a", "b", ""], False)
