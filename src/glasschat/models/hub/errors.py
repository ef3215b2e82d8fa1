"""Errors of the hub as one line that says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glasschat.errors import ModelError, ModelNotFound
from glasschat.models.hub.download import connection_lost
from glasschat.models.hub.reference import Reference

_LOGIN = "run `hf auth login`, or set HF_TOKEN"


@contextmanager
def translate_errors(reference: Reference, cache: Path) -> Iterator[None]:
    """Turn what huggingface_hub raises into a ModelError about `reference`."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise ModelError(_gated(reference)) from None
    except errors.RepositoryNotFoundError:
        raise ModelNotFound(
            f"there is no repository {reference.repo} on {_host()} that you may see: check the "
            f"name; for a private one {_LOGIN}"
        ) from None
    except errors.RevisionNotFoundError:
        raise ModelNotFound(
            f"{reference.repo} has no revision {reference.revision!r}: leave it out, or name a "
            f"branch, a tag or a commit"
        ) from None
    except errors.OfflineModeIsEnabled:
        raise ModelNotFound(
            f"{reference} is not in the cache ({cache}), or not all of it, and HF_HUB_OFFLINE is "
            f"set: unset it, or name a model on this machine"
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise ModelError(
                f"{_host()} does not let you read {reference.repo} (status {status}): {_LOGIN} "
                f"with a token that may"
            ) from None
        raise ModelError(
            f"{_host()} answered with status {status} for {reference}: try again later; what has "
            f"been fetched is kept"
        ) from None
    except connection_lost() as error:
        raise ModelError(_unreachable(reference, error)) from None
    except errors.LocalEntryNotFoundError as error:
        raise ModelError(_unreachable(reference, error.__cause__ or error)) from None
    except ValueError as error:
        raise ModelError(
            f"{_host()} answered what is no answer of a hub ({_line(error)}): check the network, "
            f"which may want a login, and HF_ENDPOINT"
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(
                f"the disk with {cache} is full: free some of it, or set HF_HOME to a folder with "
                f"more room; what has been fetched is kept"
            ) from None
        raise ModelError(
            f"{reference} cannot be fetched to {cache}: {error.strerror or _line(error)}"
        ) from None


def check_room(reference: Reference, cache: Path, missing: int, free: int) -> None:
    """Raise ModelError when `missing` bytes do not fit into `free` bytes of disk."""
    if missing > free:
        raise ModelError(
            f"{reference} needs {missing / 1e9:.1f} GB more on the disk with {cache}, which has "
            f"{free / 1e9:.1f} GB free: free some of it, or set HF_HOME to a folder with more room"
        )


def _gated(reference: Reference) -> str:
    from huggingface_hub import constants, get_token

    page = f"{constants.ENDPOINT}/{reference.repo}"
    if get_token():
        return f"{reference.repo} is gated, and your token has no access yet: ask for it at {page}"
    return f"{reference.repo} is gated: ask for access at {page}, then {_LOGIN}"


def _unreachable(reference: Reference, error: BaseException) -> str:
    return (
        f"{_host()} cannot be reached for {reference} ({type(error).__name__}: {_line(error)}): "
        f"check the network, or name a model on this machine; what has been fetched is kept"
    )


def _host() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT).partition("//")[2]


def _line(error: BaseException) -> str:
    return " ".join(str(error)[:160].split())
