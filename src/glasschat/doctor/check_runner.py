"""Runs all checks on a model in order. A check that raises becomes a finding."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from glasschat.doctor.checks import (
    content,
    description,
    memory,
    special_tokens,
    template,
    vocabulary,
    weights,
)
from glasschat.doctor.comparison import distance, same_model
from glasschat.doctor.comparison.pair import ModelPair
from glasschat.doctor.finding import Finding, Mark, report_failure
from glasschat.doctor.formatting import split_advice
from glasschat.doctor.metadata import ModelMetadata
from glasschat.doctor.model_files import open_tokenizer, preflight, read_metadata
from glasschat.doctor.opened_model import OpenedModel
from glasschat.doctor.report import Report
from glasschat.errors import ModelError
from glasschat.models.llama_cpp.preflight import PreflightResult

Progress = Callable[[str], None]
T = TypeVar("T")
Check = Callable[[T], Iterable[Finding]]

METADATA_CHECKS: tuple[tuple[str, Check[ModelMetadata]], ...] = (
    ("model", description.model),
    ("figures", description.figures),
    ("supported", description.supported),
    ("context", description.context),
    ("sampling", description.sampling),
    ("code", description.code),
)
FILE_CHECKS: tuple[tuple[str, Check[ModelMetadata]], ...] = (
    ("weights", weights.weights),
    ("memory", memory.memory),
)
TOKEN_CHECKS: tuple[tuple[str, Check[OpenedModel]], ...] = (
    ("vocabulary", vocabulary.vocabulary),
    ("splitting", vocabulary.splitting),
    ("structure", vocabulary.structure),
    ("begin", special_tokens.begin),
    ("ends", special_tokens.ends),
)
TEMPLATE_CHECKS: tuple[tuple[str, Check[OpenedModel]], ...] = (
    ("double-begin", special_tokens.double_begin),
    ("turn-end", special_tokens.turn_end),
    ("system-prompt", template.system_prompt),
    ("reply-opening", template.reply_opening),
    ("contents-apart", content.contents_apart),
    ("contents-kept", content.contents_kept),
)
COMPARISON_CHECKS: tuple[tuple[str, Check[ModelPair]], ...] = (
    ("same-shape", same_model.same_shape),
    ("same-vocabulary", same_model.same_vocabulary),
    ("same-ends", same_model.same_ends),
    ("same-text-ids", same_model.same_text_ids),
    ("same-prompt-ids", same_model.same_prompt_ids),
)
_REPORT_IT = "this is a mistake of glasschat's: please report it, with the model's name"
_ANOTHER = "get another conversion of the model, from a current converter"


def examine(path: Path, against: Path | None = None, progress: Progress = lambda _: None) -> Report:
    """Check the model at `path`, and compare it with the one at `against`.

    `progress` is called with a line of text before anything that takes long. Raises ModelNotFound
    if there is nothing at a path; anything else that is wrong is a finding.
    """
    metadata, whole = read_metadata(path)
    other = None if against is None else read_metadata(against)
    runner, comparison = _CheckRunner([whole]), _CheckRunner([])
    with ExitStack() as stack:
        subject = _check_model(stack, runner, metadata)
        if other is not None:
            reference = _open_reference(stack, comparison, *other)
            pair = ModelPair(subject, reference) if subject and reference else None
            comparison.run(COMPARISON_CHECKS, pair)
            run_both = [("divergence", lambda both: distance.distance(both, progress))]
            comparable = pair and runner.runnable and comparison.runnable and pair.has_weights
            comparison.run(run_both, pair if comparable else None)
    return Report(
        metadata,
        tuple(runner.findings),
        other=other and other[0],
        comparison=tuple(comparison.findings),
        not_checked=(*runner.not_checked, *comparison.not_checked),
    )


@dataclass(slots=True)
class _CheckRunner:
    """Runs checks, and collects their findings and the names of checks that could not be run."""

    findings: list[Finding]
    not_checked: list[str] = field(default_factory=list)

    def failed(self, check: str) -> bool:
        """Return whether this check has failed."""
        return any(f.check == check and f.mark is Mark.FAIL for f in self.findings)

    def run(self, checks: Iterable[tuple[str, Check[T]]], subject: T | None) -> None:
        """Run `checks` on a subject; without a subject note them as not checked."""
        for name, check in checks:
            if subject is None:
                self.not_checked.append(name)
                continue
            try:
                self.findings += check(subject)
            except Exception as error:
                self.findings.append(_crashed_check(name, error))

    def open(
        self, stack: ExitStack, metadata: ModelMetadata, trial: PreflightResult
    ) -> OpenedModel | None:
        """Open the model's vocabulary until `stack` closes.

        Return None, and add a finding, if it cannot be opened.
        """
        try:
            return OpenedModel(metadata, stack.enter_context(open_tokenizer(metadata, trial)))
        except ModelError as error:
            self.findings.append(
                report_failure("tokenizer", *split_advice(error.message, _ANOTHER))
            )
        except Exception as error:
            self.findings.append(_crashed_check("tokenizer", error))
        return None

    @property
    def runnable(self) -> bool:
        """Return whether no finding forbids to run the model."""
        return not any(map(self.failed, ("figures", "loading", "against", "same-vocabulary")))


def _check_model(
    stack: ExitStack, runner: _CheckRunner, metadata: ModelMetadata
) -> OpenedModel | None:
    """Run the checks of one model. Return None if its vocabulary cannot be opened."""
    whole = not runner.failed("file")
    runner.run(METADATA_CHECKS, metadata if whole or metadata.architecture else None)
    runner.run(FILE_CHECKS, metadata if whole else None)
    subject = _open(stack, runner, metadata) if whole else None
    template_findings: list[Finding] = []
    if subject is not None:
        subject, template_findings = _with_template(subject)
    runner.run(TOKEN_CHECKS, subject)
    runner.run([("template", lambda _: template_findings)], subject)
    runner.run(TEMPLATE_CHECKS, subject if subject and subject.template else None)
    return subject


def _open(stack: ExitStack, runner: _CheckRunner, metadata: ModelMetadata) -> OpenedModel | None:
    """Open the model's vocabulary, if the preflight in another process succeeds."""
    trial = preflight(metadata)
    if metadata.kind == "GGUF" and metadata.tensors:
        runner.run([("loading", weights.loading)], None if trial.vocabulary else trial)
    return runner.open(stack, metadata, trial)


def _open_reference(
    stack: ExitStack, runner: _CheckRunner, metadata: ModelMetadata, whole: Finding
) -> OpenedModel | None:
    """Open the model to compare with. Of its findings, only those that prevent this are added."""
    reference_checks = _CheckRunner([whole])
    subject = None
    if not reference_checks.failed("file"):
        reference_checks.run([("figures", description.figures)], metadata)
        subject = _open(stack, reference_checks, metadata)
    wrong = [finding for finding in reference_checks.findings if finding.mark is Mark.FAIL]
    runner.findings += [replace(finding, check="against") for finding in wrong]
    return None if subject is None else _with_template(subject)[0]


def _with_template(subject: OpenedModel) -> tuple[OpenedModel, list[Finding]]:
    try:
        chat_template, finding = template.open_template(subject)
    except Exception as error:
        return subject, [_crashed_check("template", error)]
    return replace(subject, template=chat_template), [finding]


def _crashed_check(check: str, error: Exception) -> Finding:
    words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return report_failure(check, f"this could not be looked at ({words})", _REPORT_IT)
