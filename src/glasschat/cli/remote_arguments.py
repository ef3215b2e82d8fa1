"""Flags for another server that writes the replies."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from glasschat.cli.secret_files import read_secret, warn_if_others_can_read
from glasschat.cli.terminal import warn
from glasschat.errors import ServerError
from glasschat.messages import Message

if TYPE_CHECKING:
    from glasschat.backends.remote import Address, RemoteBackend

VARIABLE = "GLASSCHAT_REMOTE_KEY"
# Flags for a local model, with the values that they have when they are not given.
_LOCAL_DEFAULTS = {
    "device": "auto",
    "dtype": "auto",
    "also": [],
    "raw": False,
    "exact": False,
    "max_waiting": 64,
    "cache_ram": None,
    "stage": [],
    "stage_setting": [],
}
KINDS = ("glasschat", "vllm", "sglang", "llama-server", "transformers", "openai")


def add_remote_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the other server: its address, model, key, context and kind."""
    group = parser.add_argument_group(
        "another server writes the replies", "Any with OpenAI's interface: see docs/scale.md."
    )
    group.add_argument(
        "--remote", metavar="URL", help="its address, as in http://127.0.0.1:8000/v1"
    )
    group.add_argument(
        "--remote-model", metavar="NAME", help="one of its models, by its name there (the only one)"
    )
    group.add_argument(
        "--remote-key-file",
        type=Path,
        metavar="FILE",
        help=f"the first line is the key for it; for containers there is {VARIABLE}",
    )
    group.add_argument(
        "--remote-context",
        type=int,
        metavar="N",
        help="tokens that prompt and reply may have together (what the server says)",
    )
    group.add_argument(
        "--remote-kind",
        choices=KINDS,
        help="what it is (what it says of itself); openai is any that takes OpenAI's fields alone",
    )


def add_remotes_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--remotes`: servers beside the local model or the one of `--remote`."""
    parser.add_argument(
        "--remotes",
        type=Path,
        metavar="FILE",
        help="more servers, which visitors choose among: a TOML file, see docs/scale.md",
    )


def remote_backend(options: argparse.Namespace) -> "RemoteBackend | None":
    """Return the backend for the server of `--remote`, None without it.

    Raises ParameterError, ServerError.
    """
    # Removed from the environment: programs that this one starts must not inherit the key.
    variable = os.environ.pop(VARIABLE, None)
    if options.remote is None:
        _refuse_without_remote(options)
        return None
    _refuse_with_remote(options)
    # Imported here: httpx is slow to import, and nothing else needs it.
    from glasschat.backends.remote import Address, RemoteBackend, RemoteOptions

    address = Address.parse(options.remote)
    key = _key(options.remote_key_file, variable)
    warn_of_plain_http(address, key)
    return RemoteBackend(
        RemoteOptions(
            address=address,
            model=options.remote_model,
            key=key,
            context=options.remote_context,
            kind=options.remote_kind,
        )
    )


def additional_remotes(options: argparse.Namespace) -> "dict[str, RemoteBackend]":
    """Return a backend for each server of `--remotes`, by its name. Raises ServerError."""
    if options.remotes is None:
        return {}
    from glasschat.cli.remotes_file import remote_backends

    return remote_backends(options.remotes)


def _key(file: Path | None, variable: str | None) -> str | None:
    if file is None:
        return variable
    if variable is not None:
        raise ServerError(
            "--remote-key-file and {variable} both give a key: leave one of them out",
            variable=VARIABLE,
        )
    return read_key_file(file)


def read_key_file(file: Path) -> str:
    """Read the key from the first line of a file. Raises ServerError."""
    try:
        text = read_secret(file, Message("the key in {file}", file=file))
    except UnicodeDecodeError:
        raise ServerError(
            "the key in {file} is no text in UTF-8: save it as that", file=file
        ) from None
    warn_if_others_can_read(file)
    return text.partition("\n")[0].strip()


def warn_of_plain_http(address: "Address", key: str | None) -> None:
    """Warn on standard error if others could read the key on its way to the server."""
    if key is not None and not address.is_encrypted and not address.is_loopback:
        warn(
            f"the key for {address} goes there over plain http: whoever is on the way can read "
            "it, and the conversations too"
        )


def _refuse_without_remote(options: argparse.Namespace) -> None:
    for name in ("remote_model", "remote_key_file", "remote_context", "remote_kind"):
        if getattr(options, name) is not None:
            raise ServerError(
                "--{name} goes with --remote URL: give both", name=name.replace("_", "-")
            )


def _refuse_with_remote(options: argparse.Namespace) -> None:
    """Refuse flags for a local model and for the API.

    The API needs a local model: with `--remote` it is the other server's. Raises ServerError.
    """
    if getattr(options, "model", None) is not None:
        raise ServerError(
            "{model} and --remote are two models: leave one of them out (--remote-model names "
            "one of the other server's)",
            model=options.model,
        )
    for name in ("context", "slots", "threads", "gpu_layers"):
        if getattr(options, name, None) is not None:
            if name == "context":
                raise ServerError(
                    "--context is for a model of this machine, not for --remote (--remote-context "
                    "is for the other server's)"
                )
            raise ServerError(
                "--{flag} is for a model of this machine, not for --remote",
                flag=name.replace("_", "-"),
            )
    for name, default in _LOCAL_DEFAULTS.items():
        if getattr(options, name, default) != default:
            flag = name.replace("_", "-")
            raise ServerError(
                "--{flag} is for a model of this machine, not for --remote", flag=flag
            )
    api_flags = ("api_key", "api_key_file", "cors_origin", "timeout", "log_requests", "log_texts")
    for name in api_flags:
        if getattr(options, name, None):
            flag = name.replace("_", "-")
            raise ServerError(
                "--{flag} is for the API, which is the other server's with --remote: leave it out",
                flag=flag,
            )
