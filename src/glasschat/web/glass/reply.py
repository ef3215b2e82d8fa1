"""A reply that the glass box is opened on: its records, its tokens counted over all its runs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from glasschat.chat import Conversation, Node
from glasschat.engine import Generation, Reply
from glasschat.errors import InvalidMessage
from glasschat.glass import RemoteToken, RemoteTrace, Trace
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.token_text import TokenNames
from glasschat.web.site import Site


@dataclass(frozen=True, slots=True)
class RunSegment:
    """The tokens of one run, from place `start` of the reply on.

    `trace` is how they were chosen by a local model, `remote` what another server sent of them;
    both are None where nothing was stored. The ids of another server's tokens are not known.
    """

    start: int
    ids: tuple[int, ...] = ()
    trace: Trace | None = None
    remote: RemoteTrace | None = None

    def __len__(self) -> int:
        return len(self.ids) if self.remote is None else len(self.remote)


class InspectedReply:
    """One moment of a reply. Raises InvalidMessage where it was deleted, StoreError."""

    def __init__(self, site: Site, subject: Subject) -> None:
        found = site.library.find(subject.owner, subject.conversation)
        if found is None:
            raise InvalidMessage("this chat is no longer kept")
        self.conversation: Conversation = found
        self.growing: Reply | None = found.running.get(subject.turn)
        self.node: Node = found.tree[subject.turn]
        self.site = site = site.with_writer(self.node)
        classes = site.backend.describe().stage_classes
        self._traces = tuple(
            None if trace is None else replace(trace, stage_classes=classes)
            for trace in found.traces(subject.turn)
        )
        self._remote_traces = found.remote_traces(subject.turn)

    @property
    def generation(self) -> Generation | None:
        """The handle of the reply while an engine of this process writes it."""
        return self.growing if isinstance(self.growing, Generation) else None

    @cached_property
    def names(self) -> TokenNames:
        """The names of its tokens."""
        runs = self.node.runs
        return TokenNames(self.site.backend, runs[-1].origin.model_fingerprint if runs else "")

    @cached_property
    def segments(self) -> tuple[RunSegment, ...]:
        """The tokens of its runs, in order."""
        found: list[RunSegment] = []
        ids, runs = self.node.ids or (), self.node.runs
        if runs and runs[0].first_token:
            # It continues a reply whose beginning was not recorded.
            found.append(RunSegment(0, ids[: runs[0].first_token]))
        for number, run in enumerate(runs):
            start = found[-1].start + len(found[-1]) if found else 0
            trace, remote = self._traces[number], self._remote_traces[number]
            end = runs[number + 1].first_token if number + 1 < len(runs) else len(ids)
            if trace is not None:
                found.append(RunSegment(start, trace.token_ids, trace))
            elif remote is not None:
                found.append(RunSegment(start, remote=remote))
            else:
                found.append(RunSegment(start, ids[run.first_token : end]))
        return tuple(found)

    @property
    def count(self) -> int:
        """The number of its tokens."""
        return sum(map(len, self.segments))

    @property
    def recorded(self) -> bool:
        """Whether any of its tokens was recorded."""
        return any(segment.trace or segment.remote for segment in self.segments)

    @property
    def partly_remote(self) -> bool:
        """Whether another server wrote any of it."""
        return any(segment.remote is not None for segment in self.segments)

    @property
    def is_remote(self) -> bool:
        """Whether another server wrote its newest run."""
        return bool(self.segments) and self.segments[-1].remote is not None

    @property
    def last_trace(self) -> Trace | None:
        """The trace of its newest run."""
        return self.segments[-1].trace if self.segments else None

    def segments_from(self, start: int) -> Iterator[RunSegment]:
        """Yield the tokens from place `start` on, run by run."""
        for segment in self.segments:
            skipped = max(0, start - segment.start)
            if skipped < len(segment):
                trace, remote = segment.trace, segment.remote
                yield RunSegment(
                    segment.start + skipped,
                    segment.ids[skipped:],
                    trace.part(skipped, len(segment)) if trace is not None else None,
                    RemoteTrace(remote.steps[skipped:]) if remote is not None else None,
                )

    def remote_token_at(self, place: int) -> RemoteToken | None:
        """Return what another server sent of the token at `place`; None for a local model's."""
        for segment in self.segments:
            if segment.remote is not None and 0 <= place - segment.start < len(segment):
                return segment.remote.steps[place - segment.start]
        return None

    def at(self, place: int) -> tuple[Trace, int]:
        """Return the trace that has the token at `place`, and its place in it.

        Raises InvalidMessage where nothing is recorded of it.
        """
        for segment in self.segments:
            local = place - segment.start
            if 0 <= local < len(segment.ids) and segment.trace is not None:
                return segment.trace, local
        raise InvalidMessage("nothing is recorded of token {place} of this reply", place=place + 1)
