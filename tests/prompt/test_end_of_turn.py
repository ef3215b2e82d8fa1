"""A reply ends where the model's own template ends a turn, whatever its files forget to name."""

import pytest

from glasschat.models.base import Tokenizer
from glasschat.models.scripted import END, ScriptedTokenizer
from glasschat.prompt import ChatMessage, ChatTemplate, find_turn_end, with_turn_end
from tests.prompt.families import Family

ENDS = {
    "chatml": b"<|im_end|>", "llama3": b"<|eot_id|>", "llama2": b"</s>", "mistral": b"</s>",
    "gemma": b"<end_of_turn>", "phi3": b"<|end|>", "qwen2_5": b"<|im_end|>",
    "qwen3": b"<|im_end|>", "mistyped_chatml": b"<|im_end|>", "mistyped_gemma": b"<end_of_turn>",
}  # fmt: skip


class Forgetful(ScriptedTokenizer):
    """Names no end token."""

    end_ids: frozenset[int] = frozenset()


def end_of(source: str) -> int | None:
    tokenizer = ScriptedTokenizer()
    return find_turn_end(tokenizer, ChatTemplate(tokenizer, source))


def test_every_family_ends_with_its_own_token(family: Family) -> None:
    found = find_turn_end(family.tokenizer, family.template)
    assert found is not None
    assert family.tokenizer.token_bytes(found) == ENDS[family.name]


def test_end_token_that_no_file_names_ends_replies() -> None:
    """As in the first files of Llama-3, whose replies went on and on."""
    forgetful = Forgetful()
    template = ChatTemplate(forgetful)
    ending: Tokenizer = with_turn_end(forgetful, template)
    assert ending.end_ids == {END}
    for name in ("vocab_size", "bos_id", "eos_id", "adds_bos", "control_ids", "hidden_ids",
                 "template_source"):  # fmt: skip
        assert getattr(ending, name) == getattr(forgetful, name)
    assert ending.encode("a<s>", control=True) == forgetful.encode("a<s>", control=True)
    assert ending.token_bytes(END) == b"<|end|>"
    messages = [ChatMessage("user", "Hello")]
    assert ChatTemplate(ending).encode(messages) == template.encode(messages)


def test_end_token_that_is_known_changes_nothing() -> None:
    tokenizer = ScriptedTokenizer()
    assert with_turn_end(tokenizer, ChatTemplate(tokenizer)) is tokenizer


@pytest.mark.parametrize(
    ("after", "end"),
    [
        ("<|end|>", END),
        ("\n <|end|>\n", END),
        ("", None),
        ("\n### ", None),
        ("\n### <|end|>", None),
        ("<s>", None),
    ],
)
def test_end_is_what_comes_first_after_the_reply(after: str, end: int | None) -> None:
    each = "{% for m in messages %}{{ m.role }}: {{ m.content }}" + after + "{% endfor %}"
    assert end_of(each) == end


def test_template_that_closes_a_turn_only_before_the_next_one_is_understood() -> None:
    source = (
        "{% for m in messages %}{{ m.content }}{% if not loop.last %}<|end|>{% endif %}{% endfor %}"
    )
    assert end_of(source) == END


def test_template_that_takes_no_finished_turn_is_no_error() -> None:
    assert end_of("{{ messages[0].content }}") is None
    refuses = "{{ raise_exception('no') if messages[-1].role != 'user' }}"
    each = "{% for m in messages %}{{ m.content }}<|end|>{% endfor %}"
    assert end_of(refuses + each) == END
