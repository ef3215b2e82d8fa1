"""The examination: all checks in their order, and none of them able to end it."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from glasschat.doctor.against import distance, tokens
from glasschat.doctor.against.pair import Pair
from glasschat.doctor.case import Case
from glasschat.doctor.checks import (
    about,
    content,
    ends,
    memory,
    template,
    vocabulary,
    weights,
)
from glasschat.doctor.facts import Facts
from glasschat.doctor.finding import Finding, Mark, failed
from glasschat.doctor.reading import open_tokenizer, read_facts, tried
from glasschat.doctor.report import Report
from glasschat.doctor.words import parted
from glasschat.errors import ModelError
from glasschat.models.llama_cpp.preflight import PreflightResult

Say = Callable[[str], None]
Subject = TypeVar("Subject")
Check = Callable[[Subject], Iterable[Finding]]

OF_FACTS: tuple[tuple[str, Check[Facts]], ...] = (
    ("model", about.model),
    ("figures", about.figures),
    ("supported", about.supported),
    ("context", about.context),
    ("sampling", about.sampling),
    ("code", about.code),
)
OF_FILES: tuple[tuple[str, Check[Facts]], ...] = (
    ("weights", weights.weights),
    ("memory", memory.memory),
)
OF_TOKENS: tuple[tuple[str, Check[Case]], ...] = (
    ("vocabulary", vocabulary.vocabulary),
    ("splitting", vocabulary.splitting),
    ("structure", vocabulary.structure),
    ("begin", ends.begin),
    ("ends", ends.ends),
)
OF_TEMPLATE: tuple[tuple[str, Check[Case]], ...] = (
    ("double-begin", ends.double_begin),
    ("turn-end", ends.turn_end),
    ("system-prompt", template.system_prompt),
    ("reply-opening", template.reply_opening),
    ("contents-apart", content.contents_apart),
    ("contents-kept", content.contents_kept),
)
OF_PAIR: tuple[tuple[str, Check[Pair]], ...] = (
    ("same-shape", tokens.same_shape),
    ("same-vocabulary", tokens.same_vocabulary),
    ("same-ends", tokens.same_ends),
    ("same-text-ids", tokens.same_text_ids),
    ("same-prompt-ids", tokens.same_prompt_ids),
)
_REPORT_IT = "this is a mistake of glasschat's: please report it, with the model's name"
_ANOTHER = "get another conversion of the model, from a current converter"


def examine(path: Path, against: Path | None = None, say: Say = lambda _: None) -> Report:
    """Look at the model at `path`, and hold it against another one.

    `say` is told what is being done where that takes a while. Raises ModelNotFound where there is
    nothing at a path; whatever else is wrong is a finding.
    """
    facts, whole = read_facts(path)
    other = None if against is None else read_facts(against)
    chart, comparison = _Chart([whole]), _Chart([])
    with ExitStack() as stack:
        case = _looked_at(stack, chart, facts)
        if other is not None:
            reference = _reference(stack, comparison, *other)
            pair = Pair(case, reference) if case and reference else None
            comparison.make(OF_PAIR, pair)
            run = [("divergence", lambda both: distance.distance(both, say))]
            can = pair and chart.runnable and comparison.runnable and pair.has_weights
            comparison.make(run, pair if can else None)
    return Report(
        facts,
        tuple(chart.findings),
        other=other and other[0],
        comparison=tuple(comparison.findings),
        not_checked=(*chart.not_checked, *comparison.not_checked),
    )


@dataclass(slots=True)
class _Chart:
    """What was found, in order, and the names of the checks that could not be made."""

    findings: list[Finding]
    not_checked: list[str] = field(default_factory=list)

    def failed(self, check: str) -> bool:
        """Whether this check has failed."""
        return any(f.check == check and f.mark is Mark.FAIL for f in self.findings)

    def make(self, checks: Iterable[tuple[str, Check[Subject]]], subject: Subject | None) -> None:
        """Make `checks`, where there is something to make them of; none of them gets through."""
        for name, check in checks:
            if subject is None:
                self.not_checked.append(name)
                continue
            try:
                self.findings += check(subject)
            except Exception as error:
                self.findings.append(_broken(name, error))

    def open(self, stack: ExitStack, facts: Facts, trial: PreflightResult) -> Case | None:
        """The model with its vocabulary, until `stack` ends; None, and a finding, without."""
        try:
            return Case(facts, stack.enter_context(open_tokenizer(facts, trial)))
        except ModelError as error:
            self.findings.append(failed("tokenizer", *parted(str(error), _ANOTHER)))
        except Exception as error:
            self.findings.append(_broken("tokenizer", error))
        return None

    @property
    def runnable(self) -> bool:
        """Whether nothing was found for which the model must not be run."""
        return not any(map(self.failed, ("figures", "loading", "against", "same-vocabulary")))


def _looked_at(stack: ExitStack, chart: _Chart, facts: Facts) -> Case | None:
    """Look at one model by itself. None where its vocabulary cannot be opened."""
    whole = not chart.failed("file")
    chart.make(OF_FACTS, facts if whole or facts.architecture else None)
    chart.make(OF_FILES, facts if whole else None)
    case = _opened(stack, chart, facts) if whole else None
    about_template: list[Finding] = []
    if case is not None:
        case, about_template = _with_template(case)
    chart.make(OF_TOKENS, case)
    chart.make([("template", lambda _: about_template)], case)
    chart.make(OF_TEMPLATE, case if case and case.template else None)
    return case


def _opened(stack: ExitStack, chart: _Chart, facts: Facts) -> Case | None:
    """Let the libraries near the model, after a trial elsewhere."""
    trial = tried(facts)
    if facts.kind == "GGUF" and facts.tensors:
        chart.make([("loading", weights.loading)], None if trial.vocabulary else trial)
    return chart.open(stack, facts, trial)


def _reference(stack: ExitStack, chart: _Chart, facts: Facts, whole: Finding) -> Case | None:
    """The model to compare with, if it can be; of what is wrong with it only what prevents that."""
    own = _Chart([whole])
    case = None
    if not own.failed("file"):
        own.make([("figures", about.figures)], facts)
        case = _opened(stack, own, facts)
    wrong = [finding for finding in own.findings if finding.mark is Mark.FAIL]
    chart.findings += [replace(finding, check="against") for finding in wrong]
    return None if case is None else _with_template(case)[0]


def _with_template(case: Case) -> tuple[Case, list[Finding]]:
    try:
        chat_template, finding = template.open_template(case)
    except Exception as error:
        return case, [_broken("template", error)]
    return replace(case, template=chat_template), [finding]


def _broken(check: str, error: Exception) -> Finding:
    words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return failed(check, f"this could not be looked at ({words})", _REPORT_IT)
