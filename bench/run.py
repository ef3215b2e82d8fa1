"""Runs the parts that were asked for, and says what could not be measured."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.api import measure_api
from bench.chat import measure_chat
from bench.config import BenchConfig
from bench.decode import measure_decode
from bench.folder import measure_folder
from bench.page import measure_page
from bench.parallel import measure_parallel
from bench.report import Report
from glasschat.config import ModelOptions
from glasschat.errors import MissingExtra, ParameterError
from glasschat.models.hf.load import HfPlan
from glasschat.models.load import plan_model

Part = Callable[[BenchConfig, Report, Callable[[str], None]], None]

PARTS: dict[str, Part] = {
    "decode": measure_decode,
    "parallel": measure_parallel,
    "chat": measure_chat,
    "page": measure_page,
    "api": measure_api,
}
FOLDER_PARTS: dict[str, Part] = {"folder": measure_folder, "page": measure_page}


def run_bench(
    model: Path | None,
    *,
    only: Sequence[str] = (),
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Measure the parts in `only`, all of them if it is empty; `say` is told what is running.

    Raises ParameterError for an unknown part, ModelError as loading does.
    """
    plan = plan_model(ModelOptions(path=model, slots=1, threads=threads))
    parts = FOLDER_PARTS if isinstance(plan, HfPlan) else PARTS
    for name in only:
        if name not in parts:
            raise ParameterError("only", f"one of {', '.join(parts)} for this model", name)
    report = Report(plan.info.name, plan.threads)
    for name, part in parts.items():
        if only and name not in only:
            continue
        try:
            part(BenchConfig(plan), report, say)
        except MissingExtra as error:
            report.skipped[name] = str(error)
    return report
