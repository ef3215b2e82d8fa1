"""The command line: parses arguments, and calls the package that does the work.

Exit codes: 0 done; 1 a reply, the engine or a comparison failed; 2 an argument or the set-up has
to be changed; 130 interrupted. Packages that are slow to import are imported by the command that
needs them.
"""

import importlib
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from glasschat import __version__
from glasschat.cli.api_arguments import add_api_arguments
from glasschat.cli.arguments import (
    Parser,
    add_message_arguments,
    add_model_arguments,
    add_sampling_arguments,
    add_serve_arguments,
    add_web_arguments,
)
from glasschat.cli.model_plans import add_also_argument, add_cache_argument
from glasschat.cli.remote_arguments import add_remote_arguments, add_remotes_argument
from glasschat.cli.stage_arguments import add_stage_arguments
from glasschat.cli.store_arguments import add_store_arguments
from glasschat.cli.terminal import replace_unencodable_characters
from glasschat.errors import EngineError, GlasschatError


def build_parser() -> Parser:
    """Build the parser of all commands."""
    parser = Parser(
        prog="glasschat",
        description="A self-hosted web chat for Llama-3-class models, with a glass box behind it.",
        epilog="`glasschat COMMAND --help` explains each command.",
    )
    parser.add_argument("--version", action="version", version=f"glasschat {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    web = commands.add_parser("web", help="serve the chat", description=_WEB)
    web.add_argument("model", nargs="?", metavar="MODEL", help=_MODEL)
    add_also_argument(web)
    add_cache_argument(web)
    add_web_arguments(web)
    add_remote_arguments(web)
    add_remotes_argument(web)
    add_api_arguments(web)
    add_store_arguments(web)
    add_model_arguments(web)
    add_stage_arguments(web)

    serve = commands.add_parser("serve", help="serve the API, without pages", description=_SERVE)
    serve.add_argument("model", nargs="?", metavar="MODEL", help=_MODEL)
    add_serve_arguments(serve)
    add_cache_argument(serve)
    add_api_arguments(serve)
    add_model_arguments(serve)
    add_stage_arguments(serve)

    ask = commands.add_parser("ask", help="ask one question in the terminal", description=_ASK)
    ask.add_argument("question", nargs="*", help="the question; '-' or nothing reads stdin")
    ask.add_argument("--model", metavar="MODEL", help=_MODEL)
    ask.add_argument("--system", metavar="TEXT", help="the system prompt")
    ask.add_argument("--json", action="store_true", help="print one JSON object at the end")
    ask.add_argument("--trace", action="store_true", help="with --json: how each token was chosen")
    ask.add_argument(
        "--trace-file", metavar="FILE", help="write how each token was chosen to this file"
    )
    add_remote_arguments(ask)
    add_model_arguments(ask)
    add_sampling_arguments(ask)
    add_stage_arguments(ask, settings=True)

    replay = commands.add_parser(
        "replay", help="write a recorded reply once more", description=_REPLAY
    )
    replay.add_argument("file", metavar="FILE", help="a trace, as ask --trace-file writes it")
    replay.add_argument("--model", metavar="MODEL", help=_MODEL)
    replay.add_argument("--json", action="store_true", help="print one JSON object")
    add_model_arguments(replay, exact=True)
    add_stage_arguments(replay)

    diff = commands.add_parser("diff", help="hold two traces against each other", description=_DIFF)
    diff.add_argument("one", metavar="A", help="a trace")
    diff.add_argument("two", metavar="B", help="another")
    diff.add_argument("--json", action="store_true", help="print one JSON object")

    prompt = commands.add_parser(
        "prompt", help="show what the model will read", description=_PROMPT
    )
    prompt.add_argument("--model", metavar="MODEL", help=_MODEL)
    add_message_arguments(prompt)
    prompt.add_argument("--json", action="store_true", help="print ids and spans as JSON")

    doctor = commands.add_parser(
        "doctor", help="say what is wrong with a model", description=_DOCTOR
    )
    doctor.add_argument("model", nargs="?", metavar="MODEL", help=_MODEL)
    doctor.add_argument(
        "--against",
        metavar="OTHER",
        help="hold MODEL against this one too: its original, or another quantisation of it",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = build_parser().parse_args(arguments)
    replace_unencodable_characters()
    try:
        return _command(options.command)(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of the pipe has closed it. Python would complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except EngineError as error:
        print(f"glasschat: {error}", file=sys.stderr)
        return 1
    except GlasschatError as error:
        print(f"glasschat {options.command}: error: {error}", file=sys.stderr)
        return 2


def _command(name: str) -> Callable[[Namespace], int]:
    module = importlib.import_module(f"glasschat.cli.{name}")
    command: Callable[[Namespace], int] = getattr(module, name)
    return command


_WEB = """Serve the chat on one port. The page is up before the model is loaded."""
_SERVE = """Serve OpenAI's interface on one port, without pages. The port is open before the model
is loaded; /ready says when it is."""
_ASK = """Ask one question and stream the answer. Ctrl-C stops the reply and keeps what is there."""
_REPLAY = """Write a recorded reply once more with the same prompt, settings and draws, in the exact
mode, and say whether the ids are the same; if not, at which token they part, and by how much the
logits differ. Exit code 1 when a token is another one."""
_DIFF = """Say where two recorded replies part: the token, the text before it, and what each gave
the other's token. Exit code 1 when they differ."""
_PROMPT = """Show what the model will read: every token of the prompt, and where it came from."""
_MODEL = "a .gguf file, a model folder, or hf:owner/name[/file.gguf]; the built-in model"
_DOCTOR = """Look at a model without running it, and say what is wrong with it: pass, warn or fail,
with what was found and what to do. With --against, run both on the same texts too. Exit code 1
when anything failed."""
