"""What is streamed is what the whole reply says, whatever the ids."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from glasschat.engine import IncrementalDetokenizer

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
