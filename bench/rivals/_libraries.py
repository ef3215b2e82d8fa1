"""Lazy import of the libraries of the `bench` extra, with an error that names what to install."""

import importlib
from typing import Any

from glasschat.errors import GlasschatError, MissingExtra


class RivalFailed(GlasschatError):
    """The other program did not start, or did not answer as it should."""


def import_library(module: str) -> Any:
    """Import a module of the extra. Raises MissingExtra, which says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"the comparison needs {module}, which is not installed ({error}): "
            "`make bench` brings it, or `pip install 'glasschat[bench]'`"
        ) from error
