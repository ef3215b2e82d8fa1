"""`glasschat replay`: generates a recorded reply again, and compares it with the record."""

import argparse
import sys
from dataclasses import replace

from glasschat.backends import LocalBackend
from glasschat.chat.exchange import TraceFile
from glasschat.cli.model_plans import plan_from_options
from glasschat.cli.stage_arguments import stage_classes
from glasschat.cli.terminal import json_text, printable
from glasschat.cli.traces import diff_json, diff_lines, read_trace_file, to_trace_file
from glasschat.engine import FinishReason, Generation, StartOptions
from glasschat.errors import InvalidImport, ReplyFailed
from glasschat.glass import Trace, diff
from glasschat.messages import Message
from glasschat.models.load import load_model


def replay(options: argparse.Namespace) -> int:
    """Load the model, generate the reply and print the comparison; return 1 if a token differs."""
    file = read_trace_file(options.file)
    trace = file.trace
    if not len(trace):
        raise InvalidImport("{file} has no tokens to replay", file=options.file)
    options.exact, options.slots = True, 1
    classes = stage_classes(options)
    plan = plan_from_options(options)
    backend = LocalBackend(
        lambda progress: load_model(plan, progress),
        name=plan.info.name,
        exact=True,
        stage_classes=classes,
    )
    with backend:
        backend.load()
        _compare_models(file, backend)
        again = to_trace_file(backend, _regenerate(backend, trace))
    # What came behind the first difference has another text before it: it was not written.
    found = diff(trace, again.trace)
    if options.json:
        print(json_text(diff_json(found, file, again)))
    else:
        for line in diff_lines(found, file, again, ("recorded", "replayed")):
            print(printable(line))
    return 0 if found.same else 1


def _regenerate(backend: LocalBackend, trace: Trace) -> Trace:
    """Generate the reply again, up to the first token that differs."""
    params = replace(trace.params, seed=trace.seed, max_new_tokens=len(trace))
    forced = trace.columns.forced.tolist()
    generation = backend.engine.submit(
        trace.prompt, params, start_options=StartOptions(any(forced))
    )
    seen, same = 0, True
    while same and not generation.finished:
        if any(forced) and seen < len(trace):
            _step_once(generation, trace.token_ids[seen] if forced[seen] else None)
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
        raise ReplyFailed(ended.error or Message("the reply failed"))
    regenerated = Trace.of(generation)
    if regenerated is None:
        raise ReplyFailed("the reply ended before its first token: try again")
    return regenerated


def _step_once(generation: Generation, token_id: int | None) -> None:
    """Let a paused reply choose one token, which is forced if `token_id` is given."""
    before = len(generation.steps())
    if token_id is not None:
        generation.force(token_id)
    generation.step()
    while len(generation.steps()) == before and not generation.finished:
        version = generation.snapshot().version
        if len(generation.steps()) == before and not generation.finished:
            generation.wait_for_change(version, 1.0)


def _compare_models(file: TraceFile, backend: LocalBackend) -> None:
    """Warn on standard error if the model is not the one that wrote the record.

    Raises InvalidImport if its vocabulary has another size.
    """
    about = backend.describe()
    ours, theirs = about.provenance.model_fingerprint, file.origin.model_fingerprint
    vocabulary = backend.engine.model.tokenizer.vocab_size
    if vocabulary != file.trace.vocab_size:
        raise InvalidImport(
            "the trace is of a model with {vocab_size:,} tokens, and {name} has {vocabulary:,}: "
            "name its own model with --model",
            vocab_size=file.trace.vocab_size,
            name=about.name,
            vocabulary=vocabulary,
        )
    if ours and theirs and ours != theirs:
        print(
            f"glasschat: {about.name} is not the model that wrote this trace "
            f"({printable(file.origin.model) or 'unnamed'})",
            file=sys.stderr,
        )
