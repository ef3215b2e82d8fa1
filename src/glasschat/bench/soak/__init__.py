"""A server under many clients that come, dawdle and leave: what it promises must still hold."""

from glasschat.bench.soak.report import SoakPlan, SoakReport
from glasschat.bench.soak.run import soak

__all__ = ["SoakPlan", "SoakReport", "soak"]
