"""Stages that llama.cpp defined give what its own tests expect of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glasschat.sampling import SamplingParams, StageContext, TokenHistory, build_stages
from glasschat.sampling.dry import Dry
from tests.sampling.rows import Row, softmax

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "llama_cpp_vectors.json").read_text("utf-8")
)
NEUTRAL: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.0}


def run(settings: dict[str, Any], before: list[float], ids: tuple[int, ...] = ()) -> Row:
    """The probabilities behind the stages that these settings ask for."""
    row = np.log(np.array(before, np.float32))
    context = StageContext(TokenHistory(ids))
    for stage in build_stages(SamplingParams(**(NEUTRAL | settings))):
        row = stage(row, context)
    return softmax(row).astype(np.float32)


@pytest.mark.parametrize("vector", VECTORS["top_n_sigma"], ids=str)
def test_top_n_sigma(vector: dict[str, Any]) -> None:
    found = run({"top_n_sigma": vector["n"]}, vector["before"])
    np.testing.assert_allclose(found, vector["after"], atol=1e-5)


@pytest.mark.parametrize("vector", VECTORS["xtc"], ids=str)
def test_xtc(vector: dict[str, Any]) -> None:
    # Theirs are the probabilities before the cut, and are divided by their sum here.
    settings = {"xtc_probability": 1.0, "xtc_threshold": vector["threshold"]}
    np.testing.assert_allclose(run(settings, vector["before"]), vector["after"], atol=1e-5)


@pytest.mark.parametrize("vector", VECTORS["dynamic_temperature"], ids=str)
def test_dynamic_temperature(vector: dict[str, Any]) -> None:
    settings = {
        "temperature": vector["temperature"],
        "dynatemp_range": vector["range"],
        "dynatemp_exponent": vector["exponent"],
    }
    np.testing.assert_allclose(run(settings, vector["before"]), vector["after"], atol=1e-5)


@pytest.mark.parametrize("vector", VECTORS["dry"], ids=str)
def test_dry(vector: dict[str, Any]) -> None:
    breakers = dict.fromkeys(vector["breakers"], ((),))
    stage = Dry(*vector["settings"]).with_breakers(breakers)
    row = np.zeros(len(vector["after"]), np.float32)
    after = stage(row, StageContext(TokenHistory(vector["ids"])))
    np.testing.assert_allclose(softmax(after), vector["after"], atol=1e-5)
