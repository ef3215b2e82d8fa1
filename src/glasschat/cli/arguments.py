"""Flags that several commands share. Those of the settings are generated from the settings."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from glasschat.cli.terminal import fetch_progress, read_standard_input
from glasschat.config import DEFAULT_HOST, DEFAULT_PORT, ModelOptions, WebOptions
from glasschat.errors import ModelNotFound, ParameterError
from glasschat.models.hub import fetch, is_reference
from glasschat.sampling import SETTINGS, CustomStage, SamplingParams

_MODEL_HELP = {
    "context": "tokens per slot: prompt and reply together (the model's own, at most 8192)",
    "slots": "replies generated at once (4, fewer where memory is short)",
    "threads": "CPU threads (all cores)",
    "gpu_layers": "layers to put on the GPU (all, where llama.cpp was built for one)",
}

_FLAGS = [row for row in SETTINGS.values() if row.kind != "custom"]
_EXACT = "one slot and no prefix reuse: the same seed gives the same ids every time"


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line that names the mistake, and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def add_web_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the address of the pages, and for who may use them."""
    _add_port_arguments(parser)
    add_access_arguments(parser)


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the address of the API without pages."""
    _add_port_arguments(parser)
    parser.add_argument(
        "--open",
        action="store_true",
        help="everyone who reaches the address may use the model, without a key",
    )
    _add_host_argument(parser)


def _add_port_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port (%(default)s)")
    parser.add_argument(
        "--max-waiting", type=int, default=64, metavar="N", help="queued requests (%(default)s)"
    )


def _add_host_argument(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that visitors call this server by, behind a proxy; may be given again",
    )


def add_access_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say who may use the pages."""
    group = parser.add_argument_group(
        "who may come in", "On loopback you alone; another address needs one of these."
    )
    group.add_argument(
        "--password",
        action="store_true",
        help="ask here for a password that all visitors share; without a terminal give "
        "--password-file, or the variable GLASSCHAT_PASSWORD",
    )
    group.add_argument(
        "--password-file", type=Path, metavar="FILE", help="the first line is that password"
    )
    group.add_argument(
        "--login",
        type=Path,
        metavar="FILE",
        help="visitors sign in at an OpenID Connect provider, and have conversations of their "
        "own: a TOML file, see docs/access.md",
    )
    group.add_argument(
        "--open",
        action="store_true",
        help="everyone who reaches the address may chat; each browser has its own conversations",
    )
    _add_host_argument(group)


def add_model_arguments(parser: argparse.ArgumentParser, *, exact: bool = False) -> None:
    """Add the flags for how a model is loaded. `exact` is for a command that is always exact."""
    group = parser.add_argument_group("model")
    for name, text in _MODEL_HELP.items():
        if not (exact and name == "slots"):
            group.add_argument(_flag(name), type=int, metavar="N", help=text)
    group.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="for model folders: auto, cpu, cuda, cuda:N or mps (a GPU if there is one)",
    )
    group.add_argument(
        "--dtype",
        default="auto",
        metavar="NAME",
        help="for model folders: auto, float32, bfloat16 or float16 (what suits the device)",
    )
    if not exact:
        add_raw_argument(group)
        group.add_argument("--exact", action="store_true", help=_EXACT)


def add_message_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the conversation that becomes a prompt."""
    parser.add_argument("question", nargs="*", help="a user message, instead of --messages")
    parser.add_argument("--system", metavar="TEXT", help="the system prompt before the question")
    parser.add_argument(
        "--messages",
        metavar="FILE",
        help='JSON list of {"role", "content"}; "-" reads standard input',
    )
    add_raw_argument(parser)


def add_raw_argument(parser: argparse._ActionsContainer) -> None:
    """Add `--raw`, which leaves out the chat template."""
    parser.add_argument(
        "--raw",
        action="store_true",
        help="no chat template: continue texts as they are, as a base model does",
    )


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every row of the table of settings, by its name; custom stages have none."""
    group = parser.add_argument_group("sampling")
    for row in _FLAGS:
        flag, summary = _flag(row.name), row.summary
        if row.kind == "bool" and row.default:
            group.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=None, help=summary
            )
        elif row.kind == "bool":
            group.add_argument(flag, action="store_true", default=None, help=summary)
        elif row.kind == "bias":
            group.add_argument(flag, action="append", type=_bias, metavar="ID=VALUE", help=summary)
        elif row.kind == "order":
            group.add_argument(flag, type=_names, metavar="A,B,…", help=summary)
        elif row.kind in ("texts", "ids"):
            kind: Any = str if row.kind == "texts" else int
            group.add_argument(flag, action="append", type=kind, metavar="X", help=summary)
        else:
            kind = float if row.kind == "float" else int
            shown = "unset" if row.default is None else row.default
            group.add_argument(flag, type=kind, metavar="X", help=f"{summary} ({shown})")


def model_options(options: argparse.Namespace, **overrides: Any) -> ModelOptions:
    """Return the ModelOptions that the flags ask for. Raises ParameterError, ModelNotFound.

    A model on the hub is downloaded first, with its progress on standard error.
    """
    values: dict[str, Any] = {name: getattr(options, name, None) for name in _MODEL_HELP}
    values |= {name: value for name, value in overrides.items() if values.get(name) is None}
    return ModelOptions(
        path=model_path(options.model),
        exact=getattr(options, "exact", False),
        device=getattr(options, "device", "auto"),
        dtype=getattr(options, "dtype", "auto"),
        **values,
    )


def model_path(text: str | None) -> Path | None:
    """Return the path of the model that was named, None for the built-in one."""
    if text is None:
        return None
    if not text.strip():
        raise ModelNotFound("the model's path is empty: name a .gguf file or a model folder")
    if is_reference(text):
        with fetch_progress(text) as progress:
            return fetch(text, progress)
    return Path(text)


def web_options(options: argparse.Namespace) -> WebOptions:
    """Return the WebOptions that the flags ask for. Raises ParameterError."""
    return WebOptions(
        host=options.host,
        port=options.port,
        max_waiting=options.max_waiting,
        allowed_hosts=tuple(options.allowed_host),
    )


def sampling_params(
    options: argparse.Namespace, custom_stages: Iterable[CustomStage] = ()
) -> SamplingParams:
    """Return the SamplingParams that the flags ask for, defaults for the rest.

    Raises ParameterError.
    """
    given: dict[str, Any] = {"own_stages": tuple(custom_stages)}
    for row in _FLAGS:
        value = getattr(options, row.name)
        if value is not None:
            given[row.name] = value
    if "logit_bias" in given:
        given["logit_bias"] = dict(given["logit_bias"])
    return SamplingParams(**given)


def question_text(words: list[str]) -> str:
    """Return the question: the words given, or standard input for '-' or nothing.

    Raises ParameterError, and InvalidMessage for bytes that are not valid text.
    """
    if words and words != ["-"]:
        text = " ".join(words)
    elif words or not sys.stdin.isatty():
        text = read_standard_input()
    else:
        text = ""
    if not text.strip():
        raise ParameterError("question", "a text (as an argument or on standard input)", text)
    return text


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _bias(text: str) -> tuple[int, float]:
    token_id, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=VALUE")
    try:
        return int(token_id), float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=VALUE") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))
