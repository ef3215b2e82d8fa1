"""A server under many clients that come, dawdle and leave: what it promises must still hold."""

from bench.soak.report import SoakPlan, SoakReport
from bench.soak.run import soak

__all__ = ["SoakPlan", "SoakReport", "soak"]
