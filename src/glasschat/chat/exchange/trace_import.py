"""A file with a recorded reply as a conversation: the turns that its prompt had, and the reply."""

from dataclasses import replace
from itertools import groupby

from glasschat.chat.exchange.report import Imported
from glasschat.chat.exchange.trace_file import FORMAT, TraceFile
from glasschat.chat.node import Ending, Node, Run, TurnRole, new_id
from glasschat.chat.saved import SavedConversation
from glasschat.chat.tree import Tree, title_from
from glasschat.engine import Timings, Usage
from glasschat.errors import InvalidImport


def from_trace(file: TraceFile, now: int) -> Imported:
    """One conversation with one reply, and its trace. Raises InvalidImport without a question."""
    system, turns = _turns(file)
    if not turns or turns[-1][0] != "user":
        raise InvalidImport(
            "the record is of a reply to no question, as glasschat ask writes one for a chat: "
            "glasschat replay and glasschat diff read it"
        )
    tree = Tree()
    for role, text in turns:
        tree = tree.add(Node(new_id(), tree.last.id if tree.last else None, role, text))
    assert tree.last is not None
    reply = _reply(file, tree.last.id, now)
    trace = file.trace
    # What was left out of the prompt is not in the file: no turn here stands for it.
    kept = replace(trace, prompt=replace(trace.prompt, left_out=()))
    saved = SavedConversation(
        title=title_from(text for role, text in turns if role == "user"),
        created=now,
        updated=now,
        system=system,
        params=trace.params,
        tree=tree.add(reply),
    )
    return Imported(FORMAT, (saved,), (), {reply.id: kept})


def _turns(file: TraceFile) -> tuple[str, list[tuple[TurnRole, str]]]:
    """The system prompt, and the turns before the reply."""
    prompt = file.trace.prompt
    spans = [span for span in prompt.spans if span.end <= file.trace.reply_start]
    system, turns = "", list[tuple[TurnRole, str]]()
    for (message, origin), some in groupby(spans, key=lambda span: (span.message, span.origin)):
        if message is None:
            continue
        ids = [token_id for span in some for token_id in prompt.ids[span.start : span.end]]
        if any(token_id not in file.pieces for token_id in ids):
            raise InvalidImport("the record does not say what the tokens of its prompt stand for")
        text = b"".join(file.pieces[i] for i in ids).decode("utf-8", errors="replace").strip()
        if origin == "system":
            system = text
        elif origin in ("user", "assistant"):
            turns.append((origin, text))
    return system, turns


def _reply(file: TraceFile, parent: str, now: int) -> Node:
    trace = file.trace
    ids = [*trace.prompt.ids[trace.reply_start :], *trace.token_ids]
    ended = ids[-1] in trace.end_ids
    if ended:
        ids.pop()
    again = trace.prompt.open_reply
    run = Run(
        trace.params,
        file.origin,
        first_token=trace.earlier,
        created=now,
        ending=Ending.STOP if ended else Ending.LENGTH,
        seed=trace.seed,
        usage=Usage(len(trace.prompt.ids), 0, len(trace)),
        timings=Timings(None, None, None),
    )
    text = (again.text if again else "") + trace.text
    return Node(new_id(), parent, "assistant", text, tuple(ids), now, (run,))
