"""A folder's tokenizer gives ids and bytes exactly as its files have them, and nothing in front."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasschat.errors import InvalidMessage, InvalidModel, ModelError
from glasschat.models.base import Tokenizer
from glasschat.models.hf.sentencepiece import read_pieces
from glasschat.models.hf.tokenizer import HfTokenizer
from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer, open_vocabulary
from glasschat.prompt import ChatMessage, ChatTemplate, decode, encode_content
from tests.support import ggufs
from tests.support.examples import examples
from tests.support.ggufs import CONTROL, SMOLLM_CHARACTERS, USER_DEFINED
from tests.support.hf_folders import smollm2_folder
from tests.support.hf_tokenizers import folder_of, sentencepiece_folder

SPECIAL = {
    "<s>": CONTROL, "</s>": CONTROL, "[INST]": CONTROL, "<h1>": USER_DEFINED, "  ": USER_DEFINED,
    "\n\n": USER_DEFINED, "<|user|>": CONTROL,
}  # fmt: skip
LOADING = [(True, True), (False, True), (True, False)]
anything = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.sampled_from(["Hello", " Hello world", "\u2581", "\u2581Hello", *SPECIAL]),
    )
).map("".join)


def written(tokenizer: Tokenizer, ids: list[int]) -> bytes:
    return b"".join(map(tokenizer.token_bytes, ids))


def pieces(tokenizer: Tokenizer, ids: Any) -> set[bytes]:
    return set(map(tokenizer.token_bytes, ids))


@pytest.fixture(scope="module")
def smollm_folder(tmp_path_factory: pytest.TempPathFactory, builtin_model_path: Path) -> Path:
    path = tmp_path_factory.mktemp("hf") / "SmolLM2"
    return smollm2_folder(path, builtin_model_path, weights=False)


@pytest.fixture(scope="module")
def smollm(smollm_folder: Path) -> HfTokenizer:
    return HfTokenizer(smollm_folder)


@pytest.fixture(scope="module")
def smollm_gguf(builtin_model_path: Path) -> Iterator[LlamaTokenizer]:
    with open_vocabulary(builtin_model_path) as tokenizer:
        yield tokenizer


@pytest.fixture(scope="module", params=LOADING, ids=["legacy", "no-prefix", "first-only"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[HfTokenizer, LlamaTokenizer]]:
    """A sentencepiece vocabulary, by either library."""
    prefix, legacy = request.param
    path = tmp_path_factory.mktemp("spm") / "spm.gguf"
    ggufs.sentencepiece(path, SPECIAL, "{{ messages }}", space_prefix=prefix)
    tokenizer = HfTokenizer(folder_of(path, path.with_name("folder"), legacy=legacy))
    with open_vocabulary(path) as vocabulary:
        yield tokenizer, vocabulary


class SentencePieceModels:
    """The same vocabularies as sentencepiece's own file, made when first asked for."""

    def __init__(self, stack: ExitStack, root: Path) -> None:
        self.folder = cache(partial(self._write, root))
        self.get = cache(partial(self._open, stack))

    def _write(self, root: Path, prefix: bool, legacy: bool) -> Path:
        path = root / f"{prefix}-{legacy}.gguf"
        ggufs.sentencepiece(path, SPECIAL, None, space_prefix=prefix)
        return sentencepiece_folder(path, path.with_suffix(""), legacy=legacy)

    def _open(
        self, stack: ExitStack, prefix: bool, legacy: bool
    ) -> tuple[HfTokenizer, LlamaTokenizer]:
        folder = self.folder(prefix, legacy)
        gguf = stack.enter_context(open_vocabulary(folder.with_suffix(".gguf")))
        return HfTokenizer(folder), gguf


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentencePieceModels]:
    with ExitStack() as stack:
        yield SentencePieceModels(stack, tmp_path_factory.mktemp("pieces"))


@pytest.fixture
def spm(tmp_path: Path) -> Path:
    """A folder with a small sentencepiece tokenizer, to be changed at will."""
    path = ggufs.sentencepiece(tmp_path / "spm.gguf", SPECIAL, "{{ messages }}")
    return folder_of(path, tmp_path / "Small")


def change(folder: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> Path:
    path = folder / f"{name}.json"
    document = json.loads(path.read_text()) if path.exists() else {}
    change(document)
    path.write_text(json.dumps(document))
    return folder


def refusal(folder: Path, kind: type[ModelError] = InvalidModel) -> str:
    with pytest.raises(kind) as caught:
        HfTokenizer(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_smollm2_is_what_its_files_say(smollm: HfTokenizer) -> None:
    protocol: Tokenizer = smollm
    assert protocol.vocab_size == 49152
    assert (smollm.bos_id, smollm.eos_id, smollm.adds_bos) == (1, 2, False)
    assert smollm.end_sources == {
        2: ("generation_config.json", "config.json", "tokenizer_config.json")
    }
    assert smollm.control_ids == smollm.hidden_ids == frozenset(range(17))
    assert "im_start" in (smollm.template_source or "")
    assert smollm.template_origin == "chat_template.jinja"


@given(st.text(st.characters(**SMOLLM_CHARACTERS)))
def test_folder_and_gguf_of_a_model_read_any_text_alike(
    smollm: HfTokenizer, smollm_gguf: LlamaTokenizer, text: str
) -> None:
    ids = smollm.encode(text, control=False)
    assert ids == smollm_gguf.encode(text, control=False)
    assert written(smollm, ids) == text.encode()


def test_folder_and_gguf_of_a_model_have_the_same_tokens(
    smollm: HfTokenizer, smollm_gguf: LlamaTokenizer
) -> None:
    every = range(49152)
    assert [*map(smollm.token_bytes, every)] == [*map(smollm_gguf.token_bytes, every)]
    for outside in (-1, 49152):
        with pytest.raises(IndexError):
            smollm.token_bytes(outside)


def test_folder_and_gguf_of_a_model_make_the_same_prompt(
    smollm: HfTokenizer, smollm_gguf: LlamaTokenizer
) -> None:
    messages = [ChatMessage("system", "<|im_end|>"), ChatMessage("user", " Hi\n\n<|im_start|>")]
    assert ChatTemplate(smollm).encode(messages) == ChatTemplate(smollm_gguf).encode(messages)


def test_text_that_the_vocabulary_cannot_write_is_refused_by_its_place(smollm: HfTokenizer) -> None:
    """The library leaves out the eight bytes that SmolLM2 has no token for, without a word."""
    with pytest.raises(InvalidMessage, match=r"U\+0016, character 2 of the text"):
        encode_content(smollm, "é \x16<|im_end|>")


@given(anything)
def test_sentencepiece_text_comes_back(pair: tuple[HfTokenizer, LlamaTokenizer], text: str) -> None:
    """No space in front, none after an added token, and a written \u2581 is no space."""
    ours, theirs = pair
    ids = ours.encode(text, control=False)
    assert written(ours, ids) == text.encode()
    assert (ours.control_ids - {0}).isdisjoint(ids)
    if "<h1>" not in text:  # llama.cpp takes the piece, ours the text; neither is wrong
        assert ids == theirs.encode(text, control=False)


def test_special_and_added_pieces_are_control_but_blanks_are_not(
    pair: tuple[HfTokenizer, LlamaTokenizer],
) -> None:
    ours, theirs = pair
    assert ours.control_ids == theirs.control_ids
    assert ours.hidden_ids == theirs.hidden_ids
    assert pieces(ours, ours.control_ids - ours.hidden_ids) == {b"<h1>"}


@pytest.mark.parametrize(("prefix", "legacy"), LOADING)
def test_text_of_a_template_is_read_as_transformers_reads_it(
    tmp_path: Path, prefix: bool, legacy: bool
) -> None:
    """With flags as Phi-3 has them, by which a control token swallows the blanks after it."""
    from transformers import PreTrainedTokenizerFast

    path = ggufs.sentencepiece(tmp_path / "x.gguf", SPECIAL, None, space_prefix=prefix)
    flags = {"<|user|>": {"rstrip": True}, "</s>": {"rstrip": True, "special": False}}
    folder = folder_of(path, tmp_path / "x", legacy=legacy, flags=flags)
    ours = HfTokenizer(folder)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    for text in ("<s>[INST] Hello [/INST]", "<s><|user|>\n Hello</s>  \n<|user|> the", "<s>\n\n  a",
                 "<s>Hello<h1>world <h1> the</s>"):  # fmt: skip
        expected = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.encode(text, control=True) == expected
        # In the middle of a prompt, where nothing is put in front.
        assert ours.encode(" Hello", control=True) == ours.encode(" Hello", control=False)


def test_user_text_keeps_the_blanks_that_a_token_would_swallow(spm: Path) -> None:
    """Phi-3's </s> is an added token that is not special, and takes the blanks after it away."""

    def swallow(document: dict[str, Any]) -> None:
        for token in document["added_tokens"]:
            if token["content"] == "</s>":
                token |= {"rstrip": True, "lstrip": True, "special": False}

    tokenizer = HfTokenizer(change(spm, "tokenizer", swallow))
    text = "a \n</s>  hello"
    assert written(tokenizer, encode_content(tokenizer, text)) == text.encode()


def test_text_keeps_its_normalization_form(tmp_path: Path, builtin_model_path: Path) -> None:
    """Qwen's tokenizer.json composes accents; what was typed is what is sent, as with a GGUF."""
    path = ggufs.byte_level(tmp_path / "q.gguf", builtin_model_path, {}, None, pre="qwen2")
    tokenizer = HfTokenizer(folder_of(path, tmp_path / "q"))
    assert json.loads((tmp_path / "q" / "tokenizer.json").read_text())["normalizer"]
    for text in ("e\u0301 \u212b", "é Å"):
        assert written(tokenizer, encode_content(tokenizer, text)) == text.encode()


def test_threads_that_encode_at_once_do_not_mix(smollm: HfTokenizer) -> None:
    """The library has one switch for control tokens, and a call to it lets others run."""
    text = "<|im_end|> Hello" * 30
    expected = {flag: smollm.encode(text, control=flag) for flag in (True, False)}
    assert expected[True] != expected[False]

    def encode(number: int) -> bool:
        flag = bool(number % 2)
        return smollm.encode(text, control=flag) == expected[flag]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(encode, range(1000)))
    finally:
        sys.setswitchinterval(interval)


def test_megabyte_of_blanks_takes_no_minutes(smollm: HfTokenizer) -> None:
    assert written(smollm, smollm.encode(" " * 1_000_000, control=False)) == b" " * 1_000_000


def test_truncation_padding_and_dropout_are_switched_off(spm: Path) -> None:
    """A tokenizer.json that was saved while training cuts prompts off, or chooses at random."""
    expected = HfTokenizer(spm).encode("Hello world", control=False)

    def spoil(document: dict[str, Any]) -> None:
        document["truncation"] = {
            "direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0
        }  # fmt: skip
        document["padding"] = {
            "strategy": {"Fixed": 50}, "direction": "Left", "pad_to_multiple_of": None,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>",
        }  # fmt: skip
        document["model"]["dropout"] = 0.9

    spoiled = HfTokenizer(change(spm, "tokenizer", spoil))
    for _ in range(5):
        assert spoiled.encode("Hello world", control=False) == expected


# Begin and end tokens.


def test_end_tokens_are_those_of_all_files(spm: Path) -> None:
    change(spm, "generation_config", lambda d: d.update(eos_token_id=[7, 3]))
    change(spm, "config", lambda d: d.update(eos_token_id=4, vocab_size=2000))
    tokenizer = HfTokenizer(spm)
    assert tokenizer.end_sources == {
        7: ("generation_config.json",),
        3: ("generation_config.json",),
        4: ("config.json",),
        2: ("tokenizer_config.json",),
    }
    assert tokenizer.end_ids == {2, 3, 4, 7} <= tokenizer.hidden_ids


def test_config_of_another_vocabulary_ends_no_reply_at_an_ordinary_word(spm: Path) -> None:
    """A fine-tune's config.json may still say 300, which is some word in its new vocabulary."""
    change(spm, "config", lambda d: d.update(eos_token_id=300))
    assert 300 in HfTokenizer(spm).end_ids
    change(spm, "generation_config", lambda d: d.update(eos_token_id=2))
    assert HfTokenizer(spm).end_ids == {2}


@pytest.mark.parametrize("value", [None, "2", -1, 10**9, True, [[2]], {}, 1.5])
def test_end_token_that_is_none_is_passed_over(spm: Path, value: Any) -> None:
    change(spm, "generation_config", lambda d: d.update(eos_token_id=value))
    assert HfTokenizer(spm).end_sources == {2: ("tokenizer_config.json",)}


def test_tokens_may_be_named_with_their_flags_or_in_the_older_file(spm: Path) -> None:
    def older(settings: dict[str, Any]) -> None:
        del settings["bos_token"]
        settings["eos_token"] = {"content": "</s>", "lstrip": False}

    change(spm, "tokenizer_config", older)
    change(spm, "special_tokens_map", lambda d: d.update(bos_token="<s>", eos_token="[INST]"))
    tokenizer = HfTokenizer(spm)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2)
    change(spm, "tokenizer_config", lambda d: d.update(bos_token=None))
    assert HfTokenizer(spm).bos_id is None


def test_begin_token_is_taken_from_numbers_where_no_file_names_it(spm: Path) -> None:
    (spm / "tokenizer_config.json").unlink()
    change(spm, "config", lambda d: d.update(bos_token_id=1, eos_token_id=2))
    tokenizer = HfTokenizer(spm)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.end_ids) == (1, None, {2})


def test_begin_of_text_is_due_if_any_file_says_so(spm: Path) -> None:
    assert HfTokenizer(spm).adds_bos
    change(spm, "tokenizer_config", lambda d: d.update(add_bos_token=False))
    assert not HfTokenizer(spm).adds_bos
    change(spm, "tokenizer_config", lambda d: d.pop("add_bos_token"))
    assert not HfTokenizer(spm).adds_bos
    first = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    a, b = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    processor = {
        "type": "TemplateProcessing", "single": [first, a], "pair": [first, a, b],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }  # fmt: skip
    change(spm, "tokenizer", lambda d: d.update(post_processor=processor))
    tokenizer = HfTokenizer(spm)
    assert (tokenizer.adds_bos, tokenizer.adds_bos_origin) == (True, "tokenizer.json")
    assert tokenizer.encode("Hello", control=True)[0] != 1


def test_named_token_that_is_an_ordinary_word_becomes_one_of_its_own(spm: Path) -> None:
    """As transformers does it: the file of the vocabulary need not know what it is used for."""
    change(spm, "tokenizer", lambda d: d.update(added_tokens=d["added_tokens"][:1]))
    tokenizer = HfTokenizer(spm)
    assert tokenizer.encode("<s>Hello</s>", control=True)[::2] == [1, 2]
    assert {1, 2}.isdisjoint(encode_content(tokenizer, "<s></s>"))
    assert {1, 2} <= tokenizer.hidden_ids


# More or fewer tokens than rows.


def test_rows_without_a_token_stand_for_nothing(spm: Path) -> None:
    """Qwen's embedding has some hundreds: a reply that draws one must not fail."""
    size = HfTokenizer(spm).vocab_size
    change(spm, "config", lambda d: d.update(vocab_size=size + 40))
    tokenizer = HfTokenizer(spm)
    assert tokenizer.vocab_size == size + 40 == HfTokenizer(spm, vocab_size=size + 40).vocab_size
    assert set(range(size, size + 40)) < tokenizer.hidden_ids
    assert tokenizer.token_bytes(size + 39) == b""


def test_added_token_without_a_row_is_none(spm: Path) -> None:
    """Fine-tunes that name a padding token and leave the embedding as it was."""
    size = HfTokenizer(spm).vocab_size
    change(spm, "config", lambda d: d.update(vocab_size=size))
    change(
        spm,
        "tokenizer_config",
        lambda d: d.update(
            pad_token="[PAD]",
            added_tokens_decoder={str(size): {"content": "[PAD]", "special": True}},
        ),
    )
    tokenizer = HfTokenizer(spm)
    assert tokenizer.vocab_size == size
    assert max(tokenizer.control_ids) < size
    assert decode(tokenizer, encode_content(tokenizer, "[PAD]")) == "[PAD]"
    with pytest.raises(InvalidModel, match=r"writes '\[PAD\]', for which the model has no emb"):
        tokenizer.encode("[PAD]", control=True)


def test_tokenizer_of_another_model_is_refused(spm: Path) -> None:
    change(spm, "config", lambda d: d.update(vocab_size=300))
    assert "another model's" in refusal(spm)


def test_token_that_only_the_settings_declare_is_added(spm: Path) -> None:
    size = HfTokenizer(spm).vocab_size
    declared = {
        str(size): {"content": "<|end|>", "special": True},
        str(size + 1): {"content": "<tool>", "special": False},
        "1": {"content": "<s>", "special": True},
    }
    change(spm, "tokenizer_config", lambda d: d.update(added_tokens_decoder=declared))
    tokenizer = HfTokenizer(spm)
    assert tokenizer.encode("<|end|><tool>", control=True) == [size, size + 1]
    assert size in tokenizer.hidden_ids
    assert size + 1 in tokenizer.control_ids - tokenizer.hidden_ids
    declared = {str(size + 7): {"content": "<|end|>"}}
    change(spm, "tokenizer_config", lambda d: d.update(added_tokens_decoder=declared))
    assert "has no place" in refusal(spm)


# Templates.


def test_template_may_be_in_any_of_four_places(spm: Path) -> None:
    change(spm, "tokenizer_config", lambda d: d.pop("chat_template"))
    tokenizer = HfTokenizer(spm)
    assert (tokenizer.template_source, tokenizer.template_origin) == (None, None)
    slot_mapping = []
    change(spm, "chat_template", lambda d: d.update(chat_template="a"))
    slot_mapping.append(HfTokenizer(spm))
    change(spm, "tokenizer_config", lambda d: d.update(chat_template="b"))
    slot_mapping.append(HfTokenizer(spm))
    several = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "c"}]
    change(spm, "tokenizer_config", lambda d: d.update(chat_template=several))
    slot_mapping.append(HfTokenizer(spm))
    (spm / "chat_template.jinja").write_text("d")
    slot_mapping.append(HfTokenizer(spm))
    assert [(t.template_source, t.template_origin) for t in slot_mapping] == [
        ("a", "chat_template.json"),
        ("b", "tokenizer_config.json"),
        ("c", "tokenizer_config.json (default)"),
        ("d", "chat_template.jinja"),
    ]


@pytest.mark.parametrize("value", [None, "", 3, [], [3], [{"name": "rag", "template": "x"}], {}])
def test_base_model_has_no_template_and_the_rest_works(spm: Path, value: Any) -> None:
    change(spm, "tokenizer_config", lambda d: d.update(chat_template=value))
    tokenizer = HfTokenizer(spm)
    assert tokenizer.template_source is None
    assert decode(tokenizer, tokenizer.encode("Hello", control=False)) == "Hello"


def test_template_that_is_no_text_is_refused(spm: Path) -> None:
    (spm / "chat_template.jinja").write_bytes(b"\xff\xfe")
    assert "not text in UTF-8" in refusal(spm)
    os.truncate(spm / "chat_template.jinja", 2 << 20)
    assert "at most 1,048,576 are read" in refusal(spm)


# What is missing, damaged or hostile.


def test_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    assert "holds no tokenizer" in refusal(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "nonsense", "[" * 100_000, '{"model":' * 100_000,
     '{"version":"1.0","model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}',
     '{"version":"1.0","added_tokens":[],"model":{"type":"Unigram","vocab":[],"unk_id":9}}'],
    ids=range(8),
)  # fmt: skip
def test_damaged_tokenizer_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    message = refusal(tmp_path)
    assert message.startswith("tokenizer.json of") or "does not keep a text" in message


def test_tokenizer_cut_off_is_refused(spm: Path) -> None:
    os.truncate(spm / "tokenizer.json", 9000)
    assert "cannot be read" in refusal(spm)


def test_tokenizer_that_does_not_keep_a_text_is_refused(spm: Path) -> None:
    """BERT's and its like lower the case and drop the blanks."""

    def lossy(document: dict[str, Any]) -> None:
        document["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}

    assert "(WordPiece)" in refusal(change(spm, "tokenizer", lossy))


@pytest.mark.parametrize(
    "broken",
    [
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
        {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(\\U000f0000|\n)+$"}}},
        {"model": {"type": "BPE", "vocab": {"a": (1 << 32) - 1}, "merges": []}},
    ],
    ids=["charsmap", "length", "pattern", "number"],
)
def test_tokenizer_over_which_the_library_panics_is_refused(
    spm: Path, broken: dict[str, Any]
) -> None:
    """A panic is no Exception, and would end the thread that loads without a word."""
    assert refusal(change(spm, "tokenizer", lambda d: d.update(broken)))


def test_folder_that_wants_its_own_code_run_is_refused(spm: Path) -> None:
    """transformers would ask whether to trust it; nobody is asked here."""
    (spm / "evil.py").write_text("raise SystemExit('run')")
    change(
        spm, "tokenizer_config", lambda d: d.update(auto_map={"AutoTokenizer": ["evil.T", None]})
    )
    assert "asks for code of the folder's own" in refusal(spm)
    (spm / "tokenizer.json").unlink()
    assert "asks for code of the folder's own" in refusal(spm)


# A folder without tokenizer.json.


def test_vocabulary_and_merges_are_read_through_transformers(
    smollm_folder: Path, smollm: HfTokenizer, tmp_path: Path
) -> None:
    model = json.loads((smollm_folder / "tokenizer.json").read_text())["model"]
    folder = tmp_path / "x"
    shutil.copytree(smollm_folder, folder)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(model["merges"]) + "\n")
    change(folder, "tokenizer_config", lambda d: d.update(tokenizer_class="GPT2Tokenizer"))
    tokenizer = HfTokenizer(folder)
    text = "Hello world, naïve café\n\n  x <|im_end|>"
    assert tokenizer.encode(text, control=False) == smollm.encode(text, control=False)
    assert tokenizer.encode("<|im_end|>", control=True) == [2]


@pytest.mark.parametrize(("prefix", "legacy"), LOADING)
@given(text=anything)
@settings(max_examples=examples(60))
def test_sentencepiece_file_is_read_as_llama_cpp_reads_it(
    models: "SentencePieceModels", prefix: bool, legacy: bool, text: str
) -> None:
    """Blanks side by side are where transformers' own conversion goes wrong."""
    ours, theirs = models.get(prefix, legacy)
    for changed in (text, text.replace(" ", "   ")):
        ids = ours.encode(changed, control=False)
        assert written(ours, ids) == changed.encode()
        if "<h1>" not in changed:
            assert ids == theirs.encode(changed, control=False)


def test_sentencepiece_file_names_its_tokens(models: "SentencePieceModels") -> None:
    ours, theirs = models.get(True, True)
    assert (ours.bos_id, ours.eos_id, ours.end_ids) == (1, 2, {2})
    assert ours.control_ids == theirs.control_ids
    assert pieces(ours, ours.control_ids - ours.hidden_ids) == {b"<h1>"}
    assert ours.encode("<s>[INST] Hello</s>", control=True) == theirs.encode(
        "<s>[INST] Hello</s>", control=True
    )


def test_tokenizer_json_goes_before_a_sentencepiece_file(models: "SentencePieceModels") -> None:
    """A tokenizer.json beside it is what was published last, and counts."""
    source = models.folder(True, True)
    other = HfTokenizer(folder_of(source.with_suffix(".gguf"), source / "both"))
    shutil.copy(source / "tokenizer.model", source / "both")
    assert HfTokenizer(source / "both").encode("Hello", control=False) == other.encode(
        "Hello", control=False
    )


@pytest.mark.parametrize(
    "change_model",
    [lambda m: m.trainer_spec.__setattr__("model_type", 1),
     lambda m: m.normalizer_spec.__setattr__("remove_extra_whitespaces", True),
     lambda m: m.normalizer_spec.__setattr__("precompiled_charsmap", b"x")],
    ids=["unigram", "blanks", "charsmap"],
)  # fmt: skip
def test_sentencepiece_file_of_another_kind_is_refused(
    models: "SentencePieceModels", tmp_path: Path, change_model: Callable[[Any], None]
) -> None:
    from transformers.utils import sentencepiece_model_pb2_new as proto

    model = proto.ModelProto()
    model.ParseFromString((models.folder(True, True) / "tokenizer.model").read_bytes())
    change_model(model)
    (tmp_path / "tokenizer.model").write_bytes(model.SerializeToString())
    assert "of a kind that is not read" in refusal(tmp_path)


@given(data=st.data())
def test_damaged_sentencepiece_file_is_refused_in_one_line(
    models: "SentencePieceModels", data: st.DataObject
) -> None:
    whole = bytearray((models.folder(True, True) / "tokenizer.model").read_bytes())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = read_pieces(bytes(whole))
    assert found is None or all(piece for piece, _, _ in found.pieces)


def test_file_that_nobody_can_convert_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"nonsense")
    change(tmp_path, "config", lambda d: d.update(model_type="llama"))
    message = refusal(tmp_path)
    assert "tokenizer.model" in message and "add a tokenizer.json" in message


def test_vocabulary_without_its_control_tokens_is_refused(tmp_path: Path) -> None:
    """Meta's tokenizer.model has none: `<|eot_id|>` would be written out, and no turn end."""
    from llama_models.llama3 import tokenizer

    shutil.copy(Path(tokenizer.__file__).with_name("tokenizer.model"), tmp_path)
    change(tmp_path, "config", lambda d: d.update(model_type="llama"))
    assert "has no control tokens" in refusal(tmp_path)
