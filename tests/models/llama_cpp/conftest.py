"""What tests of llama.cpp's side share."""

from pathlib import Path

import pytest

from tests.support import ggufs
from tests.support.ggufs import CONTROL


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model of one layer and 569 tokens, with random weights."""
    target = tmp_path_factory.mktemp("tiny") / "Tiny.gguf"
    return ggufs.sentencepiece(target, {"<s>": CONTROL, "</s>": CONTROL}, None, weights=True)
