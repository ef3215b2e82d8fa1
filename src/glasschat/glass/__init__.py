"""The glass box: questions asked of what was recorded of a reply. No model, no pages."""

from glasschat.glass.ablation import SettingEffect, ablate, in_use
from glasschat.glass.breakpoints import BestChanges, EntropyAbove, ProbabilityBelow, TextAppears
from glasschat.glass.diff import Diff, Side, diff
from glasschat.glass.remote_trace import RemoteCandidate, RemoteToken, RemoteTrace, told_steps
from glasschat.glass.trace import Trace, recorded
from glasschat.glass.values import Odds, Values, odds_under, values
from glasschat.glass.waterfall import Candidate, Cell, Column, Waterfall, waterfall
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
    "Odds",
    "ProbabilityBelow",
    "RemoteCandidate",
    "RemoteToken",
    "RemoteTrace",
    "Sentence",
    "SettingEffect",
    "Side",
    "TextAppears",
    "Trace",
    "Values",
    "Waterfall",
    "WhatIf",
    "ablate",
    "diff",
    "in_use",
    "odds_under",
    "recorded",
    "told_steps",
    "values",
    "waterfall",
    "what_if",
]
