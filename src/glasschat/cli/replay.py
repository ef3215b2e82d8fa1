"""`glasschat replay`: write a recorded reply once more, and hold it against the record."""

import argparse
import sys
from dataclasses import replace

from glasschat.backends import LocalBackend
from glasschat.chat.exchange import TraceFile
from glasschat.cli.own_stages import stage_classes
from glasschat.cli.planning import planned
from glasschat.cli.terminal import json_text, printable
from glasschat.cli.traces import as_json, described, read_trace_file, told
from glasschat.engine import FinishReason, Generation, StartOptions
from glasschat.errors import InvalidImport, ReplyFailed
from glasschat.glass import Trace, diff
from glasschat.models.load import load_model


def replay(options: argparse.Namespace) -> int:
    """Load the model, write the reply, print; 1 when a token is another one."""
    file = read_trace_file(options.file)
    trace = file.trace
    if not len(trace):
        raise InvalidImport(f"{options.file} has no tokens to replay")
    options.exact, options.slots = True, 1
    classes = stage_classes(options)
    plan = planned(options)
    backend = LocalBackend(
        lambda progress: load_model(plan, progress),
        name=plan.info.name,
        exact=True,
        stage_classes=classes,
    )
    with backend:
        backend.load()
        _compare_models(file, backend)
        again = described(backend, _written(backend, trace))
    # What came behind the first difference has another text before it: it was not written.
    found = diff(trace, again.trace)
    if options.json:
        print(json_text(as_json(found, file, again)))
    else:
        for line in told(found, file, again, ("recorded", "replayed")):
            print(printable(line))
    return 0 if found.same else 1


def _written(backend: LocalBackend, trace: Trace) -> Trace:
    """The reply once more, up to the first token that is another one."""
    params = replace(trace.params, seed=trace.seed, max_new_tokens=len(trace))
    forced = trace.columns.forced.tolist()
    generation = backend.engine.submit(
        trace.prompt, params, start_options=StartOptions(any(forced))
    )
    seen, same = 0, True
    while same and not generation.finished:
        if any(forced) and seen < len(trace):
            _step(generation, trace.token_ids[seen] if forced[seen] else None)
        snapshot = generation.snapshot()
        for step in generation.steps(seen):
            same = same and seen < len(trace) and step.token_id == trace.token_ids[seen]
            seen += 1
        if same and not generation.finished and not any(forced):
            generation.wait_for_change(snapshot.version)
    generation.cancel()
    generation.wait_for_end()
    ended = generation.snapshot()
    if ended.finish_reason is FinishReason.ERROR:
        raise ReplyFailed(ended.error)
    written = Trace.of(generation)
    if written is None:
        raise ReplyFailed("the reply ended before its first token: try again")
    return written


def _step(generation: Generation, token_id: int | None) -> None:
    """One token of a paused reply, chosen by hand where it was."""
    before = len(generation.steps())
    if token_id is not None:
        generation.force(token_id)
    generation.step()
    while len(generation.steps()) == before and not generation.finished:
        version = generation.snapshot().version
        if len(generation.steps()) == before and not generation.finished:
            generation.wait_for_change(version, 1.0)


def _compare_models(file: TraceFile, backend: LocalBackend) -> None:
    """Say on standard error what is not the model that wrote the record."""
    about = backend.describe()
    ours, theirs = about.provenance.model_fingerprint, file.origin.model_fingerprint
    vocabulary = backend.engine.model.tokenizer.vocab_size
    if vocabulary != file.trace.vocab_size:
        raise InvalidImport(
            f"the trace is of a model with {file.trace.vocab_size:,} tokens, and {about.name} has "
            f"{vocabulary:,}: name its own model with --model"
        )
    if ours and theirs and ours != theirs:
        print(
            f"glasschat: {about.name} is not the model that wrote this trace "
            f"({printable(file.origin.model) or 'unnamed'})",
            file=sys.stderr,
        )
