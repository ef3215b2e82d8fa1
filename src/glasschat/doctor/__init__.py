"""Checks a model for mistakes before it answers badly."""

from glasschat.doctor.check_runner import examine
from glasschat.doctor.finding import Finding, Mark
from glasschat.doctor.report import Line, Report

__all__ = ["Finding", "Line", "Mark", "Report", "examine"]
