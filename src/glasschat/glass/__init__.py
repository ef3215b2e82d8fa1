"""The glass box: pure functions of what was recorded of a reply. Knows no model and no page."""

from glasschat.glass.ablation import SettingEffect, active_settings, setting_effects
from glasschat.glass.breakpoints import BestChanges, EntropyAbove, ProbabilityBelow, TextAppears
from glasschat.glass.diff import Diff, Side, diff
from glasschat.glass.remote_trace import RemoteCandidate, RemoteToken, RemoteTrace, remote_tokens
from glasschat.glass.trace import Trace, recorded_steps
from glasschat.glass.values import Likelihoods, Values, likelihoods, values
from glasschat.glass.waterfall import Candidate, Cell, Column, Unknown, Waterfall, waterfall
from glasschat.glass.what_if import Divergence, WhatIf, what_if
from glasschat.glass.words import Sentence

__all__ = [
    "BestChanges",
    "Candidate",
    "Cell",
    "Column",
    "Diff",
    "Divergence",
    "EntropyAbove",
    "Likelihoods",
    "ProbabilityBelow",
    "RemoteCandidate",
    "RemoteToken",
    "RemoteTrace",
    "Sentence",
    "SettingEffect",
    "Side",
    "TextAppears",
    "Trace",
    "Unknown",
    "Values",
    "Waterfall",
    "WhatIf",
    "active_settings",
    "diff",
    "likelihoods",
    "recorded_steps",
    "remote_tokens",
    "setting_effects",
    "values",
    "waterfall",
    "what_if",
]
