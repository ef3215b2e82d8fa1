"""Measured side by side with others, in one run."""

from glasschat.bench.report import Figure, Report
from glasschat.bench.run import PARTS, run_bench

__all__ = ["PARTS", "Figure", "Report", "run_bench"]
