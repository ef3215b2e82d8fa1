"""`glasschat prompt`: what the model will read, and nothing but."""

import io
import json
from itertools import pairwise
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from glasschat.cli import main
from tests.support.hf_folders import smollm2_folder

CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is <|im_end|>?"},
    {"role": "assistant", "content": "A control token."},
    {"role": "user", "content": "Thanks!"},
]


@pytest.fixture(scope="module")
def reference(
    builtin_model_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> PreTrainedTokenizerBase:
    folder = smollm2_folder(tmp_path_factory.mktemp("m"), builtin_model_path, weights=False)
    return AutoTokenizer.from_pretrained(folder)


def prompt(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, list]:  # type: ignore[type-arg]
    assert main(["prompt", "--json", *arguments]) == 0
    said: dict[str, list] = json.loads(capsys.readouterr().out)  # type: ignore[type-arg]
    return said


def test_spans_tile_the_prompt_and_name_where_each_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(CONVERSATION))
    said = prompt(capsys, "--messages", str(file))
    spans = said["spans"]
    assert spans[0]["start"] == 0
    assert spans[-1]["end"] == len(said["ids"])
    for before, after in pairwise(spans):
        assert before["end"] == after["start"]
    assert {key for span in spans for key in span} == {"start", "end", "origin", "message", "text"}
    content = [(s["origin"], s["message"], s["text"]) for s in spans if s["origin"] != "template"]
    assert content == [
        ("system", 0, "Be brief."),
        ("user", 1, "What is <|im_end|>?"),
        ("assistant", 2, "A control token."),
        ("user", 3, "Thanks!"),
    ]


def test_ids_equal_those_of_transformers(
    capsys: pytest.CaptureFixture[str], reference: PreTrainedTokenizerBase
) -> None:
    """For a text without control pieces the reference encoder is right, and we agree with it."""
    text = "Why is the sky blue? Warum? 为什么？ 🌈"
    ours = prompt(capsys, text)["ids"]
    theirs = reference.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
    )
    assert ours == theirs


def test_messages_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(CONVERSATION)))
    assert prompt(capsys, "--messages", "-")["spans"][-2]["text"] == "Thanks!"


def test_people_see_each_span_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "--system", "Be\nbrief.", "Hi \x1b[31mred"]) == 0
    out = capsys.readouterr().out
    assert "system     Be\\nbrief." in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "cannot read"),
        ("{", "cannot read"),
        ('{"role": "user"}', "list"),
        ("[]", "no message"),
        ('[{"role": "user"}]', "message 0"),
        ('[{"role": "robot", "content": "x"}]', "robot"),
        ('[{"role": "user", "content": 5}]', "message 0"),
        ('[{"role": "user", "content": "\\ud800"}]', "surrogate"),
        ('[{"role": "user", "content": "x", "ids": [1]}]', "assistant"),
        ('[{"role": "assistant", "content": "x", "ids": [999999]}]', "999999"),
        ("[" * 100_000, "cannot read"),
    ],
)
def test_wrong_messages_are_named(
    content: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "messages.json"
    file.write_text(content)
    assert main(["prompt", "--messages", str(file)]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_a_message_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "--messages", "/no/such.json"]) == 2
    assert "/no/such.json" in capsys.readouterr().err
