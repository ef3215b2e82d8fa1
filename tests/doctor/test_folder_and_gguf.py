"""The same weights as a GGUF and as a folder: two runners, two tokenizers, one model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from glasschat.doctor import Mark, examine
from glasschat.doctor.comparison import measurement
from tests.doctor.damage import found, untried

pytestmark = [pytest.mark.parity, pytest.mark.slow]


@pytest.fixture(autouse=True)
def shorter() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measurement, "PASSAGES", measurement.PASSAGES[:2])
        patch.setattr(measurement, "QUESTIONS", measurement.QUESTIONS[:1])
        patch.setattr(measurement, "FOLLOWED", 20)
        patch.setattr(measurement, "REPLY", 12)
        patch.setattr("glasschat.doctor.model_files.open_in_subprocess", untried)
        # One thread waits for no other, whatever else the machine does.
        patch.setattr("glasschat.models.llama_cpp.load.usable_cores", lambda: 1)
        patch.setattr("glasschat.models.hf.load.usable_cores", lambda: 1)
        yield


def test_they_agree(builtin_model_path: Path, smollm2_folder_f32: Path) -> None:
    """4-bit weights on llama.cpp against the same weights in float32 on transformers' code.

    What is left is llama.cpp's rounding of activations: KL 0.0035 and 95.7% over all 278 places,
    of which these are 52.
    """
    report = examine(builtin_model_path, smollm2_folder_f32)
    assert [f.found for f in report.comparison if f.mark is not Mark.PASS] == []
    assert not report.not_checked
    assert report.model.kind == "GGUF" and report.other is not None
    assert found(report.comparison, "divergence").details["mean"] < 0.02
    assert found(report.comparison, "top-1").details["share"] > 0.85
    assert found(report.comparison, "same-shape").details["different"] == []
    assert len(found(report.comparison, "same-shape").details["compared"]) == 8
