"""A figure that says what it says: ratios in our favour above 1, medians of pairs, misses named."""

import json

import pytest

from bench.report import Report, compare


def test_more_is_better() -> None:
    figure = compare("decode", "tokens/s", [90, 110, 100], "them", [100, 100, 100], target=0.93)
    assert (figure.ours, figure.theirs, figure.ratio) == (100, 100, 1.0)
    assert figure.met


def test_less_is_better() -> None:
    figure = compare("first", "s", [0.1], "them", [0.2], target=1.0, less_is_better=True)
    assert figure.ratio == pytest.approx(2.0)
    assert figure.met


def test_a_drifting_machine_moves_the_pairs_together() -> None:
    """Half the speed in half of the runs, on both sides: the ratio does not see it."""
    figure = compare("decode", "tokens/s", [100, 50, 100, 50], "them", [100, 50, 100, 50])
    assert figure.ratio == 1.0
    assert figure.met is None


def test_a_missed_target_is_named() -> None:
    report = Report("m", 2)
    report.figures.append(compare("decode", "tokens/s", [50], "them", [100], target=0.93))
    report.skipped["page"] = "no browser"
    assert "MISSED" in report.as_text()
    assert "not measured: page: no browser" in report.as_text()
    said = json.loads(json.dumps(report.as_json()))
    assert said["figures"][0]["met"] is False
    assert said["not_measured"] == {"page": "no browser"}
