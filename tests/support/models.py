"""Real models and engines for tests, loaded once and always given back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glasschat.config import ModelOptions
from glasschat.engine import Engine
from glasschat.models.base import Model
from glasschat.models.load import load_model, plan_model


def real_model(path: Path, *, slots: int = 4, context: int = 1024, exact: bool = False) -> Model:
    """The model at `path`, small enough in cache for many at once."""
    options = ModelOptions(path=path, slots=1 if exact else slots, context=context, exact=exact)
    return load_model(plan_model(options))


@contextmanager
def real_engine(
    path: Path, *, slots: int = 4, context: int = 1024, exact: bool = False
) -> Iterator[Engine]:
    """An engine on the model at `path`."""
    with Engine(real_model(path, slots=slots, context=context, exact=exact), exact=exact) as engine:
        yield engine
