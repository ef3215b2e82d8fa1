from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer, open_vocabulary
from tests.prompt.families import FOLDERS, MAKERS, Family, open_family


@pytest.fixture(scope="session")
def families(
    tmp_path_factory: pytest.TempPathFactory, builtin_model_path: Path
) -> Iterator["Families"]:
    with ExitStack() as stack:
        yield Families(stack, tmp_path_factory.mktemp("families"), builtin_model_path)


class Families:
    """Opens a family when it is first asked for, and closes all of them at the end."""

    def __init__(self, stack: ExitStack, folder: Path, smollm: Path) -> None:
        self.get = cache(lambda name: stack.enter_context(open_family(name, folder, smollm)))


@pytest.fixture(params=[*MAKERS, *FOLDERS])
def family(request: pytest.FixtureRequest, families: Families) -> Family:
    return families.get(request.param)


@pytest.fixture(scope="session")
def smollm(builtin_model_path: Path) -> Iterator[LlamaTokenizer]:
    with open_vocabulary(builtin_model_path) as tokenizer:
        yield tokenizer
