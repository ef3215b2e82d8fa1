"""What ends llama.cpp does not end the doctor: it is found out in another process."""

from pathlib import Path

from glasschat.doctor import Mark, examine
from tests.doctor.damage import altered, found, number
from tests.support import ggufs


def test_a_model_that_does_not_load_is_not_run(builtin_model_path: Path, tmp_path: Path) -> None:
    count = number("llama.block_count", 31)
    file = altered(builtin_model_path, tmp_path / "x.gguf", count)
    report = examine(file, builtin_model_path)
    assert found(report.findings, "loading").mark is Mark.FAIL
    assert found(report.findings, "turn-end").mark is Mark.PASS
    assert "divergence" in report.not_checked


def test_a_figure_that_ends_llama_cpp_at_its_first_token(
    builtin_model_path: Path, tmp_path: Path
) -> None:
    epsilon = number("llama.attention.layer_norm_rms_epsilon", -1.0, "f")
    file = altered(builtin_model_path, tmp_path / "x.gguf", epsilon)
    report = examine(builtin_model_path, file)
    assert found(report.comparison, "against").mark is Mark.FAIL
    assert "rms_norm_eps -1" in found(report.comparison, "against").found
    assert "divergence" in report.not_checked


def test_a_vocabulary_that_ends_llama_cpp_does_not_end_the_doctor(
    builtin_model_path: Path, tmp_path: Path
) -> None:
    """A token that occurs twice is an assertion to llama.cpp, and the end of its process."""
    file = ggufs.with_a_token_twice(tmp_path / "x.gguf", builtin_model_path)
    report = examine(file)
    tokenizer = found(report.findings, "tokenizer")
    assert tokenizer.mark is Mark.FAIL and "GGML_ASSERT" in tokenizer.found
    assert "ends" in report.not_checked
