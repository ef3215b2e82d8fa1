"""`glasschat ask`: one question, streamed to the terminal."""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from glasschat.backends import LocalBackend
from glasschat.cli.arguments import question_text, sampling_params
from glasschat.cli.planning import planned
from glasschat.cli.terminal import json_text, printable_here
from glasschat.engine import FinishReason, Generation
from glasschat.errors import ParameterError, ReplyFailed
from glasschat.models.load import load_model
from glasschat.prompt import ChatMessage


def ask(options: argparse.Namespace) -> int:
    """Load the model, ask, print; 0, or 1 when the reply failed, or 130 when interrupted."""
    if options.trace and not options.json:
        raise ParameterError("trace", "given together with --json", True)
    params = sampling_params(options)
    plan = planned(options, slots=1)
    if options.max_length is None:
        # The context was chosen for this reply alone: nothing less is meant.
        params = replace(params, max_length=plan.context)
    messages = [ChatMessage("user", question_text(options.question))]
    if options.system is not None:
        messages.insert(0, ChatMessage("system", options.system))
    backend = LocalBackend(
        lambda progress: load_model(plan, progress),
        name=plan.info.name,
        exact=options.exact,
        raw=options.raw,
    )
    with backend:
        backend.load()
        recorded = options.trace or options.trace_file is not None
        generation = backend.start(messages, params, trace=recorded)
        with _interrupt_cancels(generation):
            if not options.json:
                for delta in generation.deltas():
                    sys.stdout.write(printable_here(delta))
                    sys.stdout.flush()
                sys.stdout.write("\n")
            generation.wait_for_end()
        snapshot = generation.snapshot()
        if options.json:
            print(json_text(as_json(generation, trace=options.trace)))
        if options.trace_file is not None:
            _write_trace(options.trace_file, backend, generation)
    if snapshot.finish_reason is FinishReason.ERROR:
        raise ReplyFailed(snapshot.error)
    return 130 if snapshot.finish_reason is FinishReason.CANCELLED else 0


def as_json(generation: Generation, *, trace: bool) -> dict[str, Any]:
    """The finished reply as one object."""
    snapshot = generation.snapshot()
    steps = generation.steps()
    result: dict[str, Any] = {
        "text": snapshot.text,
        "token_ids": [step.token_id for step in steps],
        "finish_reason": snapshot.finish_reason,
        "seed": snapshot.seed,
        "usage": asdict(snapshot.usage),
        "timings": asdict(snapshot.timings),
    }
    if snapshot.error is not None:
        result["error"] = snapshot.error
    if trace:
        result["trace"] = [step.record.as_json() for step in steps if step.record is not None]
    return result


def _write_trace(file: str, backend: LocalBackend, generation: Generation) -> None:
    """The reply's record as a file; none of a reply that ended before its first token."""
    # It knows conversations and their database, which take longer to import than all else here.
    from glasschat.cli.traces import described, write_trace_file
    from glasschat.glass import Trace

    if (trace := Trace.of(generation)) is not None:
        write_trace_file(file, described(backend, trace))


@contextmanager
def _interrupt_cancels(generation: Generation) -> Iterator[None]:
    """The first Ctrl-C ends the reply and keeps what is there, the second ends the program."""
    before = signal.getsignal(signal.SIGINT)

    def cancel(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        generation.cancel()

    signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
