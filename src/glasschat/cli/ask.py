"""`glasschat ask`: asks one question and streams the reply to the terminal."""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from glasschat.backends import LocalBackend
from glasschat.cli.arguments import question_text, sampling_params
from glasschat.cli.model_plans import plan_from_options
from glasschat.cli.remote_arguments import remote_backend
from glasschat.cli.stage_arguments import configured_stages, stage_classes
from glasschat.cli.terminal import json_text, printable_on_stdout, warn
from glasschat.engine import FinishReason, Generation, Reply
from glasschat.errors import ParameterError, ReplyFailed, ServerError
from glasschat.messages import Message
from glasschat.models.load import load_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams

if TYPE_CHECKING:
    from glasschat.backends.remote import RemoteBackend


def ask(options: argparse.Namespace) -> int:
    """Load the model, ask, and print the reply.

    Return 0; 1 if the reply failed, 130 if it was interrupted.
    """
    if options.trace and not options.json:
        raise ParameterError("trace", "given together with --json", True)
    remote = remote_backend(options)
    if remote is not None:
        with remote:
            reply = _start_remote_reply(options, remote, sampling_params(options))
            _print_reply(options, reply)
        return _exit_code(reply)
    classes = stage_classes(options)
    params = sampling_params(options, configured_stages(options, classes))
    plan = plan_from_options(options, slots=1)
    if options.max_length is None:
        # The context was chosen for this reply alone: nothing less is meant.
        params = replace(params, max_length=plan.context)
    messages = _messages(options)
    backend = LocalBackend(
        lambda progress: load_model(plan, progress),
        name=plan.info.name,
        exact=options.exact,
        raw=options.raw,
        stage_classes=classes,
    )
    with backend:
        backend.load()
        recorded = options.trace or options.trace_file is not None
        generation = backend.start(messages, params, trace=recorded)
        _print_reply(options, generation)
        if options.trace_file is not None:
            _write_trace(options.trace_file, backend, generation)
    return _exit_code(generation)


def _messages(options: argparse.Namespace) -> list[ChatMessage]:
    messages = [ChatMessage("user", question_text(options.question))]
    if options.system is not None:
        messages.insert(0, ChatMessage("system", options.system))
    return messages


def _start_remote_reply(
    options: argparse.Namespace, backend: "RemoteBackend", params: SamplingParams
) -> Reply:
    """Start a reply on another server, and warn about settings that it does not take."""
    if options.trace_file is not None:
        raise ServerError("--trace-file is for a model of this machine: --remote tells too little")
    messages = _messages(options)
    backend.load()
    about = backend.describe()
    if options.max_length is None and about.context:
        params = replace(params, max_length=about.context)
    taken = backend.settle(params)
    for item in fields(params):
        requested = getattr(params, item.name)
        if requested != getattr(taken, item.name):
            warn(f"{about.detail} does not take {item.name}: {requested} was left out")
    return backend.start(messages, params)


def _print_reply(options: argparse.Namespace, reply: Reply) -> None:
    """Print a reply as it comes, or as JSON at its end."""
    with _interrupt_cancels(reply):
        if not options.json:
            for delta in reply.deltas():
                sys.stdout.write(printable_on_stdout(delta))
                sys.stdout.flush()
            sys.stdout.write("\n")
        reply.wait_for_end()
    if options.json:
        print(json_text(reply_json(reply, trace=options.trace)))


def _exit_code(reply: Reply) -> int:
    """Return the exit code for a reply that has ended. Raises ReplyFailed."""
    snapshot = reply.snapshot()
    if snapshot.finish_reason is FinishReason.ERROR:
        raise ReplyFailed(snapshot.error or Message("the reply failed"))
    return 130 if snapshot.finish_reason is FinishReason.CANCELLED else 0


def reply_json(reply: Reply, *, trace: bool) -> dict[str, Any]:
    """Return a finished reply as a JSON object. A reply of another server has no token ids."""
    snapshot = reply.snapshot()
    steps = reply.steps()
    ids = [step.token_id for step in steps]
    result: dict[str, Any] = {
        "text": snapshot.text,
        "token_ids": None if None in ids else ids,
        "finish_reason": snapshot.finish_reason,
        "seed": snapshot.seed,
        "usage": asdict(snapshot.usage),
        "timings": asdict(snapshot.timings),
    }
    if snapshot.error is not None:
        result["error"] = snapshot.error
    if trace and None in ids:
        from glasschat.glass import remote_tokens

        result["logprobs"] = [step.as_json() for step in remote_tokens(steps)]
    elif trace:
        result["trace"] = [step.record.as_json() for step in steps if step.record is not None]
    return result


def _write_trace(file: str, backend: LocalBackend, generation: Generation) -> None:
    """Write the trace of a reply to a file, unless the reply ended before its first token."""
    # It knows conversations and their database, which take longer to import than all else here.
    from glasschat.cli.traces import to_trace_file, write_trace_file
    from glasschat.glass import Trace

    if (trace := Trace.of(generation)) is not None:
        write_trace_file(file, to_trace_file(backend, trace))


@contextmanager
def _interrupt_cancels(generation: Reply) -> Iterator[None]:
    """Let the first Ctrl-C cancel the reply and keep its text; the second ends the program."""
    before = signal.getsignal(signal.SIGINT)

    def cancel(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        generation.cancel()

    signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
