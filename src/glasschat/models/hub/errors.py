"""Errors of the hub as one line that says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glasschat.errors import ModelError, ModelNotFound
from glasschat.messages import Message
from glasschat.models.hub.download import connection_lost
from glasschat.models.hub.reference import Reference

_LOGIN = Message("run `hf auth login`, or set HF_TOKEN")


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
            "there is no repository {repo} on {host} that you may see: {advice}",
            repo=reference.repo,
            host=_host(),
            advice=Message("check the name; for a private one {login}", login=_LOGIN),
        ) from None
    except errors.RevisionNotFoundError:
        raise ModelNotFound(
            "{repo} has no revision {revision}: leave it out, or name a branch, a tag or a commit",
            repo=reference.repo,
            revision=repr(reference.revision),
        ) from None
    except errors.OfflineModeIsEnabled:
        raise ModelNotFound(
            "{reference} is not in the cache ({cache}), or not all of it, and HF_HUB_OFFLINE is "
            "set: unset it, or name a model on this machine",
            reference=reference,
            cache=cache,
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise ModelError(
                "{host} does not let you read {repo} (status {status}): {login} with a token "
                "that may",
                host=_host(),
                repo=reference.repo,
                status=status,
                login=_LOGIN,
            ) from None
        raise ModelError(
            "{host} answered with status {status} for {reference}: try again later; what has "
            "been fetched is kept",
            host=_host(),
            status=status,
            reference=reference,
        ) from None
    except connection_lost() as error:
        raise ModelError(_unreachable(reference, error)) from None
    except errors.LocalEntryNotFoundError as error:
        raise ModelError(_unreachable(reference, error.__cause__ or error)) from None
    except ValueError as error:
        raise ModelError(
            "{host} answered what is no answer of a hub ({error}): {advice}",
            host=_host(),
            error=_line(error),
            advice=Message("check the network, which may want a login, and HF_ENDPOINT"),
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(
                "the disk with {cache} is full: {advice}",
                cache=cache,
                advice=Message(
                    "free some of it, or set HF_HOME to a folder with more room; what "
                    "has been fetched is kept"
                ),
            ) from None
        raise ModelError(
            "{reference} cannot be fetched to {cache}: {reason}",
            reference=reference,
            cache=cache,
            reason=error.strerror or _line(error),
        ) from None


def check_room(reference: Reference, cache: Path, missing: int, free: int) -> None:
    """Raise ModelError when `missing` bytes do not fit into `free` bytes of disk."""
    if missing > free:
        raise ModelError(
            "{reference} needs {missing:.1f} GB more on the disk with {cache}, which has "
            "{free:.1f} GB free: {advice}",
            reference=reference,
            missing=missing / 1e9,
            cache=cache,
            free=free / 1e9,
            advice=Message("free some of it, or set HF_HOME to a folder with more room"),
        )


def _gated(reference: Reference) -> Message:
    from huggingface_hub import constants, get_token

    page = f"{constants.ENDPOINT}/{reference.repo}"
    if get_token():
        return Message(
            "{repo} is gated, and your token has no access yet: ask for it at {page}",
            repo=reference.repo,
            page=page,
        )
    return Message(
        "{repo} is gated: ask for access at {page}, then {login}",
        repo=reference.repo,
        page=page,
        login=_LOGIN,
    )


def _unreachable(reference: Reference, error: BaseException) -> Message:
    return Message(
        "{host} cannot be reached for {reference} ({type}: {error}): {advice}",
        host=_host(),
        reference=reference,
        type=type(error).__name__,
        error=_line(error),
        advice=Message(
            "check the network, or name a model on this machine; what has been fetched is kept"
        ),
    )


def _host() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT).partition("//")[2]


def _line(error: BaseException) -> str:
    return " ".join(str(error)[:160].split())
