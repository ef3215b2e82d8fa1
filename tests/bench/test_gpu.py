"""The way that the figures of a GPU are measured, gone on a CPU with a tiny model."""

import json
from pathlib import Path

import pytest

from bench import gpu
from bench.gpu_report import Cell, GpuReport, Plan


@pytest.mark.slow
def test_every_cell_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gpu.json"
    arguments = "--tiny --device cpu --dtype float32 --parallel 1 3 --contexts 40 90 --steps 3"
    assert gpu.main([*arguments.split(), "--json", str(file)]) == 0
    table = capsys.readouterr().out
    report = json.loads(file.read_text())
    cells = {(cell["parallel"], cell["context"]): cell for cell in report["cells"]}
    assert set(cells) == {(1, 40), (3, 40), (1, 90), (3, 90)}
    for cell in cells.values():
        assert all(cell[side] > 0 for side in ("ours", "without_graphs", "generate", "limit"))
        assert f"{cell['ours']:,.1f}" in table
    assert report["apart"] < 1e-3
    assert len(table.splitlines()) == 4 + len(cells)


def test_a_gpu_that_is_not_there_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.main(["--tiny"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_cell_without_memory_stays_empty() -> None:
    cell = Cell(16, 8192, 100.0, None, None, 200.0)
    assert cell.of_limit == 0.5
    assert cell.over_generate is None
    report = GpuReport(Plan(), "a card", "2", 3e12, 0.01, (cell,))
    assert "     -" in report.as_text()
    assert "3,000 GB/s" in report.as_text()
