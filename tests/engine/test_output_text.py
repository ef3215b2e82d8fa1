"""The text of a reply: bytes decoded as they come, and stop strings that are never shown."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from glasschat.engine.output_text import IncrementalDetokenizer, StopStrings

PIECES = st.lists(
    st.one_of(
        st.binary(max_size=4),
        st.text(max_size=3).map(str.encode),
        st.sampled_from([b"\xf0\x9f", b"\x98\x80", b"\xe4", b"\xb8\xad", b"\xff", b"\xc0\x80"]),
    ),
    max_size=40,
)


def streamed(pieces: list[bytes]) -> list[str]:
    detokenizer = IncrementalDetokenizer(pieces.__getitem__)
    return [*(detokenizer.push(i) for i in range(len(pieces))), detokenizer.flush()]


@given(PIECES)
def test_joined_deltas_equal_the_full_decode(pieces: list[bytes]) -> None:
    assert "".join(streamed(pieces)) == b"".join(pieces).decode("utf-8", "replace")


@given(st.text(min_size=1), st.data())
def test_no_delta_ever_shows_half_a_character(text: str, data: st.DataObject) -> None:
    """A watcher never sees a replacement mark that a later token would have completed."""
    raw = text.encode("utf-8", "surrogatepass") if text.isascii() else text.encode(errors="ignore")
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=10).map(sorted))
    bounds = [0, *cuts, len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(bounds)]
    deltas = streamed(pieces)
    assert "".join(deltas) == raw.decode()
    assert deltas[-1] == ""


def test_an_emoji_over_four_tokens_appears_with_the_last() -> None:
    pieces = [bytes([b]) for b in "😀".encode()]
    assert streamed(pieces) == ["", "", "", "😀", ""]


def test_control_tokens_have_no_text() -> None:
    detokenizer = IncrementalDetokenizer([b"a", b"<|im_end|>", b"b"].__getitem__, hidden={1})
    assert [detokenizer.push(i) for i in range(3)] == ["a", "", "b"]


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
