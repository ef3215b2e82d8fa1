"""A reply under glass: its records, wherever they are, its tokens counted over all of its runs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from glasschat.chat import Conversation, Node
from glasschat.engine import Generation, Reply
from glasschat.errors import InvalidMessage
from glasschat.glass import RemoteToken, RemoteTrace, Trace
from glasschat.web.glass.box_keys import Subject
from glasschat.web.glass.token_text import Names
from glasschat.web.site import Site


@dataclass(frozen=True, slots=True)
class Stretch:
    """The tokens of one run, from place `start` of the reply on.

    `trace` is how they were chosen here, `told` what another server told of them; both are None
    where nothing was kept. The ids of another server's tokens are not known.
    """

    start: int
    ids: tuple[int, ...] = ()
    trace: Trace | None = None
    told: RemoteTrace | None = None

    def __len__(self) -> int:
        return len(self.ids) if self.told is None else len(self.told)


class ReplyUnderGlass:
    """One moment of a reply. Raises InvalidMessage where there is none any more, StoreError."""

    def __init__(self, site: Site, subject: Subject) -> None:
        found = site.library.find(subject.owner, subject.conversation)
        if found is None:
            raise InvalidMessage("this chat is no longer kept")
        self.conversation: Conversation = found
        self.growing: Reply | None = found.growing.get(subject.turn)
        self.node: Node = found.tree[subject.turn]
        self.site = site = site.with_writer(self.node)
        classes = site.backend.describe().stage_classes
        self._traces = tuple(
            None if trace is None else replace(trace, stage_classes=classes)
            for trace in found.traces(subject.turn)
        )
        self._told = found.told(subject.turn)

    @property
    def generation(self) -> Generation | None:
        """The handle to steer it by, while an engine of this process writes it."""
        return self.growing if isinstance(self.growing, Generation) else None

    @cached_property
    def names(self) -> Names:
        """What its tokens are called."""
        runs = self.node.runs
        return Names(self.site.backend, runs[-1].origin.model_fingerprint if runs else "")

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """Its runs in their order."""
        found: list[Stretch] = []
        ids, runs = self.node.ids or (), self.node.runs
        if runs and runs[0].first_token:
            # Where it comes from its beginning was not on record.
            found.append(Stretch(0, ids[: runs[0].first_token]))
        for number, run in enumerate(runs):
            start = found[-1].start + len(found[-1]) if found else 0
            trace, told = self._traces[number], self._told[number]
            end = runs[number + 1].first_token if number + 1 < len(runs) else len(ids)
            if trace is not None:
                found.append(Stretch(start, trace.token_ids, trace))
            elif told is not None:
                found.append(Stretch(start, told=told))
            else:
                found.append(Stretch(start, ids[run.first_token : end]))
        return tuple(found)

    @property
    def count(self) -> int:
        """How many tokens it has."""
        return sum(map(len, self.stretches))

    @property
    def recorded(self) -> bool:
        """Whether there is a record of any of its tokens."""
        return any(stretch.trace or stretch.told for stretch in self.stretches)

    @property
    def told(self) -> bool:
        """Whether another server wrote any of it."""
        return any(stretch.told is not None for stretch in self.stretches)

    @property
    def elsewhere(self) -> bool:
        """Whether another server wrote the newest of it."""
        return bool(self.stretches) and self.stretches[-1].told is not None

    @property
    def last_trace(self) -> Trace | None:
        """That of its newest run."""
        return self.stretches[-1].trace if self.stretches else None

    def from_place(self, start: int) -> Iterator[Stretch]:
        """The stretches behind `start`, the first of them cut to it."""
        for stretch in self.stretches:
            skipped = max(0, start - stretch.start)
            if skipped < len(stretch):
                trace, told = stretch.trace, stretch.told
                yield Stretch(
                    stretch.start + skipped,
                    stretch.ids[skipped:],
                    trace.part(skipped, len(stretch)) if trace is not None else None,
                    RemoteTrace(told.steps[skipped:]) if told is not None else None,
                )

    def told_at(self, place: int) -> RemoteToken | None:
        """What another server told of the token of that place."""
        for stretch in self.stretches:
            if stretch.told is not None and 0 <= place - stretch.start < len(stretch):
                return stretch.told.steps[place - stretch.start]
        return None

    def at(self, place: int) -> tuple[Trace, int]:
        """The trace that has the token of that place, and its place there.

        Raises InvalidMessage where nothing is recorded of it.
        """
        for stretch in self.stretches:
            local = place - stretch.start
            if 0 <= local < len(stretch.ids) and stretch.trace is not None:
                return stretch.trace, local
        raise InvalidMessage(f"nothing is recorded of token {place + 1} of this reply")
