"""Each check on a model that has what it looks for, on the real tokenizers of small files."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glasschat.doctor import Finding, Mark
from glasschat.doctor.checks import (
    content,
    description,
    special_tokens,
    template,
    vocabulary,
    weights,
)
from glasschat.doctor.checks.memory import memory
from glasschat.doctor.gguf_metadata import gguf_metadata, parse_bits
from glasschat.doctor.metadata import Claim, ModelMetadata, Rope
from glasschat.doctor.opened_model import OpenedModel
from glasschat.models.llama_cpp.tokenizer import open_vocabulary
from tests.doctor.damage import found
from tests.prompt.families import MAKERS, source_of
from tests.support import ggufs
from tests.support.ggufs import CONTROL, NORMAL

Open = Callable[..., OpenedModel]
LOOP = "{% for x in range(9999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open a small sentencepiece model with these control tokens and this template."""
    contexts = []

    def open_model(
        source: str | None, *pieces: str, kind: int = CONTROL, used: bool = True, **options: Any
    ) -> OpenedModel:
        special = dict.fromkeys(["<s>", "</s>"], CONTROL) | dict.fromkeys(pieces, kind)
        path = ggufs.sentencepiece(tmp_path / "x.gguf", special, source, **options)
        contexts.append(open_vocabulary(path))
        subject = OpenedModel(gguf_metadata(path), contexts[-1].__enter__())
        return replace(subject, template=template.open_template(subject)[0]) if used else subject

    yield open_model
    for context in contexts:
        context.__exit__(None, None, None)


def one(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def turns(close: str) -> str:
    """A template with a header of one token, and `close` after each turn."""
    return (
        "{% for message in messages %}<|head|>{{ message['role'] + '\n' + message['content'] + '"
        + close
        + "' }}{% endfor %}{% if add_generation_prompt %}<|head|>assistant\n{% endif %}"
    )


def test_a_turn_end_that_nothing_names(opened: Open, tmp_path: Path) -> None:
    """The bug of the first Llama-3 files: the reply goes on for ever, and speaks for the user.

    What the remedy says to run mends it.
    """
    subject = opened(turns("<|over|>"), "<|head|>", "<|over|>")
    finding = one(special_tokens.turn_end(subject))
    assert finding.mark is Mark.FAIL
    program, *words = shlex.split(finding.remedy.split(" (pip")[0])
    files = {"OLD.gguf": str(subject.metadata.path), "NEW.gguf": str(tmp_path / "mended.gguf")}
    command = [str(Path(sys.executable).with_name(program)), *(files.get(w, w) for w in words)]
    subprocess.run(command, check=True, capture_output=True)
    with open_vocabulary(tmp_path / "mended.gguf") as tokenizer:
        mended = OpenedModel(gguf_metadata(tmp_path / "mended.gguf"), tokenizer)
        mended = replace(mended, template=template.open_template(mended)[0])
        assert one(special_tokens.turn_end(mended)).mark is Mark.PASS
        assert "tokenizer.ggml.eot_token_id" in one(special_tokens.ends(mended)).found


def test_a_turn_that_is_closed_by_words(opened: Open) -> None:
    subject = opened(turns("\n### User:\n").replace("<|head|>", "### "))
    finding = one(special_tokens.turn_end(subject))
    assert finding.mark is Mark.WARN and "--stop" in finding.remedy


def test_a_folders_turn_end_is_mended_in_its_own_file(opened: Open) -> None:
    subject = opened(turns("<|over|>"), "<|head|>", "<|over|>")
    finding = one(
        special_tokens.turn_end(replace(subject, metadata=replace(subject.metadata, kind="folder")))
    )
    assert finding.mark is Mark.FAIL
    assert f"add {subject.find_token('<|over|>')} to eos_token_id in gen" in finding.remedy


def test_no_end_at_all(opened: Open) -> None:
    class Endless:
        def __getattr__(self, name: str) -> Any:
            return frozenset() if name == "end_ids" else getattr(subject.tokenizer, name)

    subject = opened(turns("</s>"), "<|head|>")
    assert one(special_tokens.ends(replace(subject, tokenizer=Endless()))).mark is Mark.FAIL  # type: ignore[arg-type]


def test_files_that_disagree_about_the_beginning(opened: Open) -> None:
    subject = opened(turns("</s>"), "<|head|>")
    claims = (Claim("config.json: bos_token_id", 1), Claim("generation_config.json", 2))
    finding = one(
        special_tokens.begin(
            replace(subject, metadata=replace(subject.metadata, begin_claims=claims))
        )
    )
    assert finding.mark is Mark.WARN and "config.json" in finding.found


@pytest.mark.parametrize(
    ("source", "adds_bos", "mark", "in_prompt"),
    [
        ("{{ bos_token }}" + turns("</s>"), False, Mark.PASS, 1),
        ("{{ bos_token }}" + turns("</s>"), True, Mark.WARN, 1),
        (turns("</s>"), True, Mark.PASS, 1),
        (turns("</s>"), False, Mark.PASS, 0),
        ("{{ bos_token + bos_token }}" + turns("</s>"), False, Mark.FAIL, 1),
        ("{{ bos_token + bos_token }}" + turns("</s>"), True, Mark.FAIL, 1),
    ],
)
def test_who_writes_the_beginning(
    opened: Open, source: str, adds_bos: bool, mark: Mark, in_prompt: int
) -> None:
    finding = one(special_tokens.double_begin(opened(source, "<|head|>", adds_bos=adds_bos)))
    assert (finding.mark, finding.details["in_prompt"]) == (mark, in_prompt)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{% for %}", "not valid Jinja"),
        (
            "{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}",
            "longer than",
        ),
        ("{{ 'x' * 99999999 }}", "characters"),
        ("{{ messages[0]['content'] }}{{ messages[0]['content'] }}", "2 times"),
        ("{{ raise_exception('not today') }}", "not today"),
        ("{{ ''.__class__.__mro__ }}", "may not"),
        ("Hello", "leaves out"),
    ],
)
def test_a_template_that_cannot_be_used(opened: Open, source: str, says: str) -> None:
    chat_template, finding = template.open_template(opened(source, "<|head|>", used=False))
    assert chat_template is None and finding.mark is Mark.FAIL
    assert says in finding.found
    assert "--chat-template-file" in finding.remedy


def test_a_template_for_one_question_only(opened: Open) -> None:
    """It would refuse the second turn of every chat."""
    once = "{% if messages|length > 1 %}{{ raise_exception('one turn') }}{% endif %}"
    subject = opened(once + turns("</s>"), "<|head|>", used=False)
    assert template.open_template(subject)[1].mark is Mark.FAIL


@pytest.mark.parametrize(("name", "mark"), [("gemma", Mark.WARN), ("llama2", Mark.PASS)])
def test_whether_a_system_prompt_is_taken(opened: Open, name: str, mark: Mark) -> None:
    _, _, special, _, _ = MAKERS[name]
    subject = opened(source_of(name), *special)
    finding = one(template.system_prompt(subject))
    assert finding.mark is mark and finding.details["taken"] is (mark is Mark.PASS)


def test_a_reply_that_the_template_does_not_open(opened: Open) -> None:
    """The model would begin each reply with a header of its own."""
    closed = turns("</s>").split("{% if add_generation_prompt")[0]
    assert one(template.reply_opening(opened(closed, "<|head|>"))).mark is Mark.WARN
    assert one(template.reply_opening(opened(turns("</s>"), "<|head|>"))).mark is Mark.PASS


@pytest.mark.parametrize("name", ["llama2", "mistral", "gemma", "phi3"])
def test_families_open_replies_as_they_keep_them(opened: Open, name: str) -> None:
    _, _, special, _, _ = MAKERS[name]
    assert one(template.reply_opening(opened(source_of(name), *special))).mark is Mark.PASS


def test_contents_that_the_template_would_cut(opened: Open) -> None:
    """Qwen3's drops what an earlier reply has thought."""
    _, _, special, _, _ = MAKERS["qwen3"]
    subject = opened(source_of("qwen3"), *special, eos="<|im_end|>")
    finding = one(content.contents_kept(subject))
    assert finding.mark is Mark.WARN and "</think>" in finding.found
    assert one(content.contents_apart(subject)).details["broken"] == []


def test_contents_that_the_template_rewrites(opened: Open) -> None:
    shouting = turns("</s>").replace("message['content']", "message['content'].upper()")
    finding = one(content.contents_kept(opened(shouting, "<|head|>")))
    assert finding.mark is Mark.WARN
    assert any(change["text"] == "{{ x }}" for change in finding.details["changed"])


def test_blanks_that_the_template_trims(opened: Open) -> None:
    trimming = turns("</s>").replace("message['content']", "message['content'] | trim")
    finding = one(content.contents_kept(opened(trimming, "<|head|>")))
    assert finding.mark is Mark.PASS and finding.details["trims"] is True
    assert not one(content.contents_kept(opened(turns("</s>"), "<|head|>"))).details["trims"]


def test_a_content_that_could_not_be_kept_apart(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check looks at the ids: an encoder of ours that lets a piece through is caught."""
    subject = opened(turns("</s>"), "<|head|>")
    assert one(content.contents_apart(subject)).mark is not Mark.FAIL
    monkeypatch.setattr(
        "glasschat.prompt.content.ContentEncoder.encode",
        lambda self, text: self._tokenizer.encode(text, control=True),
    )
    finding = one(content.contents_apart(subject))
    assert finding.mark is Mark.FAIL and "<|head|>" in finding.details["broken"]


@pytest.mark.parametrize(
    ("pieces", "named"),
    [(("<|im_start|>", "<|im_end|>"), ["ChatML"]), (("[INST]", "[/INST]"), ["Mistral"]), ((), [])],
)
def test_a_base_model(opened: Open, pieces: tuple[str, ...], named: list[str]) -> None:
    finding = template.open_template(opened(None, *pieces, used=False))[1]
    assert finding.mark is Mark.WARN and finding.details["formats"] == named
    assert "--raw" in finding.remedy


def test_control_tokens_that_are_typed_as_words(opened: Open) -> None:
    subject = opened(turns("</s>"), "<|head|>", kind=NORMAL)
    finding = one(vocabulary.structure(subject))
    assert finding.mark is Mark.WARN and "<|head|>" in finding.found


@pytest.mark.parametrize(
    ("pre", "pieces", "mark"),
    [
        ("llama-bpe", ("<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>"), Mark.PASS),
        ("default", ("<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>"), Mark.FAIL),
        ("gpt-2", ("<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>"), Mark.FAIL),
        ("smaug-bpe", ("<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>"), Mark.PASS),
        ("gpt-2", (), Mark.PASS),
        ("default", (), Mark.WARN),
        (None, (), Mark.WARN),
    ],
)
def test_how_a_gguf_says_that_text_is_split(
    opened: Open, pre: str | None, pieces: tuple[str, ...], mark: Mark
) -> None:
    """Without it llama.cpp splits "1234" and "don't" in other places than the model was taught."""
    subject = opened(turns("</s>"), "<|head|>", *pieces)
    metadata = replace(subject.metadata, sentencepiece=False, pre_tokenizer=pre)
    finding = one(vocabulary.splitting(replace(subject, metadata=metadata)))
    assert finding.mark is mark
    assert mark is not Mark.FAIL or "--pre-tokenizer llama-bpe" in finding.remedy


@pytest.mark.parametrize(
    ("rows", "claim", "mark"),
    [(0, None, Mark.PASS), (31, None, Mark.PASS), (-1, None, Mark.FAIL), (0, 7, Mark.WARN)],
)
def test_tokens_against_embeddings(
    opened: Open, builtin_model_path: Path, rows: int, claim: int | None, mark: Mark
) -> None:
    subject = opened(turns("</s>"), "<|head|>")
    count = subject.tokenizer.vocab_size
    metadata = replace(
        subject.metadata,
        tensors=gguf_metadata(builtin_model_path).tensors[:1],
        embedding_rows=count + rows,
        vocabulary_claim=Claim("llama.vocab_size", claim) if claim else None,
    )
    finding = one(vocabulary.vocabulary(replace(subject, metadata=metadata)))
    assert finding.mark is mark
    assert rows != 31 or "31 rows more" in finding.found


METADATA = ModelMetadata(
    kind="GGUF", path=Path("x.gguf"), name="x", architecture="llama", context=131072,
    context_source="llama.context_length", embedding_rows=128256, rope=Rope(base=500000.0),
)  # fmt: skip


@pytest.mark.parametrize(
    ("rope", "context", "mark"),
    [
        # Llama 3.1 as llama.cpp's converter wrote it before July 2024.
        (Rope(500000.0), 131072, Mark.WARN),
        (Rope(500000.0, "rope_freqs.weight"), 131072, Mark.PASS),
        (Rope(500000.0), 8192, Mark.PASS),
        (Rope(283461213.0), 262144, Mark.PASS),
        (Rope(10000.0, "linear", 2.0, 4096), 8192, Mark.PASS),
        (Rope(10000.0, "linear", 2.0, 4096), 32768, Mark.WARN),
        (Rope(10000.0), 0, Mark.WARN),
    ],
)
def test_positions_that_do_not_reach_as_far_as_the_context(
    rope: Rope, context: int, mark: Mark
) -> None:
    assert one(description.context(replace(METADATA, rope=rope, context=context))).mark is mark


@pytest.mark.parametrize(
    ("shape", "mark"),
    [
        ({"num_hidden_layers": 30, "rms_norm_eps": 1e-5, "rope_theta": 1e4}, Mark.PASS),
        ({}, Mark.PASS),
        ({"num_hidden_layers": 0}, Mark.FAIL),
        ({"rms_norm_eps": -1.0}, Mark.FAIL),
        ({"rope_theta": float("nan")}, Mark.FAIL),
        ({"rope_theta": float("inf")}, Mark.FAIL),
    ],
)
def test_figures_that_no_model_can_have(shape: dict[str, float], mark: Mark) -> None:
    assert one(description.figures(replace(METADATA, shape=shape))).mark is mark


@pytest.mark.parametrize(
    ("settings", "mark"),
    [
        ({}, Mark.PASS),
        ({"temp": 0.6, "top_k": 20, "top_p": 0.95}, Mark.PASS),
        ({"temperature": 0.6, "top_p": 95}, Mark.WARN),
        ({"temperature": -1.0}, Mark.WARN),
    ],
)
def test_recommended_settings(settings: dict[str, float], mark: Mark) -> None:
    finding = one(
        description.sampling(replace(METADATA, sampling=settings, sampling_source="the file"))
    )
    assert finding.mark is mark and finding.details["settings"] == settings


def test_settings_that_a_gguf_recommends(tmp_path: Path) -> None:
    """As llama.cpp's converter writes them from generation_config.json since November 2025."""
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_float32("general.sampling.temp", 0.5)
    writer.add_int32("general.sampling.top_k", 20)
    writer.add_string("general.sampling.sequence", "kt")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    finding = one(description.sampling(gguf_metadata(tmp_path / "x.gguf")))
    assert finding.mark is Mark.PASS
    assert "temp 0.5, top_k 20" in finding.found


def test_a_model_in_several_files_is_read_whole(tmp_path: Path) -> None:
    """What is wrong may be wrong in the last of them."""
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "Small.gguf", "llama", split_max_tensors=1)
    for name, value in (("token_embd.weight", 1.0), ("output.weight", np.nan)):
        writer.add_tensor(name, np.full((8, 4), value, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    metadata = gguf_metadata(tmp_path / "Small-00001-of-00002.gguf")
    assert (metadata.name, metadata.files, metadata.parameters) == ("Small", 2, 64)
    assert (metadata.embedding_rows, metadata.output_rows) == (8, 8)
    finding = one(weights.weights(metadata))
    assert finding.mark is Mark.FAIL and finding.details["broken"] == ["output.weight"]


def test_memory_there_and_memory_needed(
    builtin_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_mib(count: int) -> Finding:
        monkeypatch.setattr(
            "glasschat.models.llama_cpp.load.available_bytes", lambda: count * 2**20
        )
        return one(memory(gguf_metadata(builtin_model_path)))

    assert with_mib(8000).mark is Mark.PASS
    short = with_mib(700)
    assert short.mark is Mark.WARN and "--slots" in short.remedy
    assert short.details["slots"] < 4
    none = with_mib(50)
    assert none.mark is Mark.FAIL and "smaller model" in none.remedy


@pytest.mark.parametrize(
    ("storage", "bits"),
    [("Q4_K_M", 4), ("IQ3_XXS", 3), ("Q8_0", 8), ("BF16", 16), ("MXFP4", 4), ("float32", 32)],
)
def test_bits_of_a_weight(storage: str, bits: int) -> None:
    assert parse_bits(storage) == bits


def test_a_finding_without_a_remedy_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="remedy"):
        Finding("x", Mark.WARN, "something is odd")
    assert found([Finding("x", Mark.PASS, "fine")], "x").remedy == ""
