"""Soak test: a server under many clients that connect, read slowly and disconnect early."""

from bench.soak.report import SoakPlan, SoakReport
from bench.soak.run import soak

__all__ = ["SoakPlan", "SoakReport", "soak"]
