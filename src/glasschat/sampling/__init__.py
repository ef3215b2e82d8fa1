"""Logits to a token id. NumPy only."""

from glasschat.sampling.columns import Columns
from glasschat.sampling.custom.loading import load_stages
from glasschat.sampling.custom.stage import CustomStage
from glasschat.sampling.custom.stage_class import NO_STAGES, StageClass, StageClasses
from glasschat.sampling.custom.stage_setting import StageSetting
from glasschat.sampling.distribution import TEMPERATURES, Distribution
from glasschat.sampling.draw import draw, seeded_draws
from glasschat.sampling.grammar import Grammar, TokenMatcher
from glasschat.sampling.history import TokenHistory
from glasschat.sampling.order import MAX_CUSTOM_STAGES
from glasschat.sampling.params import DEFAULT_ORDER, SETTINGS, STAGES, SamplingParams
from glasschat.sampling.pipeline import build_stages
from glasschat.sampling.processors import (
    FrequencyPenalty,
    LogitBias,
    MinNewTokens,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
)
from glasschat.sampling.sampler import Choice, Sampler
from glasschat.sampling.settings import Group, Setting
from glasschat.sampling.stages import ShortStage, Stage, StageContext, StageKind
from glasschat.sampling.trace import TOP_CANDIDATES, StageRecord, StepRecord
from glasschat.sampling.typical import TypicalP
from glasschat.sampling.warpers import (
    MinP,
    Temperature,
    TopK,
    TopP,
)
from glasschat.sampling.workspace import quiet_arithmetic

__all__ = [
    "DEFAULT_ORDER",
    "MAX_CUSTOM_STAGES",
    "NO_STAGES",
    "SETTINGS",
    "STAGES",
    "TEMPERATURES",
    "TOP_CANDIDATES",
    "Choice",
    "Columns",
    "CustomStage",
    "Distribution",
    "FrequencyPenalty",
    "Grammar",
    "Group",
    "LogitBias",
    "MinNewTokens",
    "MinP",
    "NoRepeatNGram",
    "PresencePenalty",
    "RepetitionPenalty",
    "Sampler",
    "SamplingParams",
    "Setting",
    "ShortStage",
    "Stage",
    "StageClass",
    "StageClasses",
    "StageContext",
    "StageKind",
    "StageRecord",
    "StageSetting",
    "StepRecord",
    "Temperature",
    "TokenHistory",
    "TokenMatcher",
    "TopK",
    "TopP",
    "TypicalP",
    "build_stages",
    "draw",
    "load_stages",
    "quiet_arithmetic",
    "seeded_draws",
]
