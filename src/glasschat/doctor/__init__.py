"""What is wrong with a model before it answers badly."""

from glasschat.doctor.examination import examine
from glasschat.doctor.finding import Finding, Mark
from glasschat.doctor.report import Line, Report

__all__ = ["Finding", "Line", "Mark", "Report", "examine"]
