"""What the rivals share: a library is imported when it is used, and missed by name."""

import importlib
from typing import Any

from glasschat.errors import GlasschatError, MissingExtra


class RivalFailed(GlasschatError):
    """The other program did not start, or did not answer as it should."""


def imported(module: str) -> Any:
    """The module of that name. Raises MissingExtra, which says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"the comparison needs {module}, which is not installed ({error}): "
            "`make bench` brings it, or `pip install 'glasschat[bench]'`"
        ) from error
