"""The comparison of a folder goes its whole way, on a scripted model and rivals without one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import folder
from bench.config import QUESTIONS
from bench.parallel import HEROES
from bench.report import Report
from bench.rivals import GenerateReply, OriginalChat, OriginalTurn
from glasschat.backends import LocalBackend
from glasschat.models.scripted import scripted_model


class FakeSetting:
    """Stands in for Setting: a folder without one."""

    plan = SimpleNamespace(path=Path("m"), threads=1)

    def with_dtype(self, dtype: str) -> "FakeSetting":
        return self

    @contextmanager
    def backend(self, slots: int, context: int) -> Iterator[LocalBackend]:
        def load(_progress: Callable[[float], None]) -> Any:
            return scripted_model(lambda _: 65, slots=slots, context=context)

        with LocalBackend(load, name="bench") as backend:
            backend.load()
            yield backend


@dataclass
class FakeGenerate:
    """A rival of 10 tokens a second, whose first token takes a tenth of a second."""

    dtype: str
    asked: list[list[list[int]]] = field(default_factory=list)

    def replies(
        self, prompts: Sequence[Sequence[int]], n_tokens: int, *, seed: int
    ) -> list[GenerateReply]:
        self.asked.append([[*ids] for ids in prompts])
        return [GenerateReply((66,) * n_tokens, 0.1, 10.0, n_tokens / 10) for _ in prompts]


@pytest.fixture
def rivals(monkeypatch: pytest.MonkeyPatch) -> list[FakeGenerate]:
    made: list[FakeGenerate] = []

    @contextmanager
    def generate(path: Path, *, dtype: str, threads: int) -> Iterator[FakeGenerate]:
        made.append(FakeGenerate(dtype))
        yield made[-1]

    def original(
        path: Path, questions: Sequence[str], n_tokens: int, *, dtype: str, threads: int
    ) -> OriginalChat:
        turn = OriginalTurn(prompt_tokens=9, tokens=n_tokens, ttft_s=0.5, decode_tps=4.0, text="")
        return OriginalChat((turn,) * len(questions), dtype, threads)

    monkeypatch.setattr(folder, "generate", generate)
    monkeypatch.setattr(folder, "measure_original_chat", original)
    monkeypatch.setattr(folder, "TOKENS", 4)
    monkeypatch.setattr(folder, "TURN_TOKENS", 3)
    return made


def test_every_comparison_in_both_dtypes(rivals: list[FakeGenerate]) -> None:
    report = Report("m", 1)
    folder.measure_folder(FakeSetting(), report, lambda _: None)  # type: ignore[arg-type]
    promised = [
        (figure.name, figure.rival, figure.theirs, figure.target) for figure in report.figures
    ]
    assert promised == [
        expected
        for dtype, eight in (("float32", 4.0), ("bfloat16", 6.0))
        for expected in (
            ("one reply, decode", f"generate, {dtype}", 10.0, 1.0),
            ("8 at once, total", f"generate, {dtype}, one by one", 10.0, eight),
            ("turn 8, time to first token", f"generate, {dtype}", 0.1, 5.0),
            ("turn 8, decode", f"generate, {dtype}", 10.0, None),
            ("turn 8, time to first token", f"the original's algorithm, {dtype}", 0.5, None),
            ("turn 8, decode", f"the original's algorithm, {dtype}", 4.0, None),
        )
    ]


def test_the_rival_is_asked_what_we_are_asked(rivals: list[FakeGenerate]) -> None:
    """New stories in every run, and a chat whose history grows by its own replies."""
    folder.measure_folder(FakeSetting(), Report("m", 1), lambda _: None)  # type: ignore[arg-type]
    asked = rivals[0].asked
    stories = asked[: folder.RUNS]
    assert [len(prompts) for prompts in stories] == [folder.ONE_BY_ONE] * folder.RUNS
    assert len({bytes_of(prompt) for prompts in stories for prompt in prompts}) == 6
    assert HEROES[0].encode() in bytes_of(stories[0][0])
    turns = [prompts[0] for prompts in asked[folder.RUNS :]]
    assert len(turns) == len(QUESTIONS)
    for before, after in pairwise(turns):
        assert after[: len(before) + 3] == [*before, 66, 66, 66]
    assert all(bytes_of(turns[-1]).count(text.encode()) == 1 for text in QUESTIONS)


def bytes_of(ids: Sequence[int]) -> bytes:
    return bytes(token for token in ids if token < 256)
