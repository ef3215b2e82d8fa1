"""The settings of one reply, in the names of transformers' GenerationConfig: the table of settings.

A new setting is one field here; a new stage is besides its class, its lesson, and its bounds in
`glasschat.glass` where what-if is to be exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from glasschat.sampling.builders import (
    build_dry,
    build_min_new_tokens,
    build_temperature,
    build_xtc,
    slot,
)
from glasschat.sampling.custom.stage import CustomStage
from glasschat.sampling.order import validate_custom_stages, validate_order
from glasschat.sampling.processors import (
    FrequencyPenalty,
    LogitBias,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
)
from glasschat.sampling.settings import (
    N_,
    Setting,
    StageSlot,
    limit,
    read_table,
    sampling,
    setting,
    wire,
)
from glasschat.sampling.top_n_sigma import TopNSigma
from glasschat.sampling.typical import TypicalP
from glasschat.sampling.warpers import MinP, TopK, TopP

_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How the next token is chosen, and when a reply ends. Frozen and validated.

    The defaults are those of the demo that glasschat starts from: temperature 0.7, top-p 0.8,
    repetition penalty 1.005, sampling on. Everything else is off.

    `own_stages` are custom stages, those that did not come with glasschat. `stages` names all
    stages in their order: a custom processor that it leaves out is put behind the last processor,
    a custom warper at the end.

    A wrong value raises ParameterError (a ValueError) with the name, the range and the value.
    """

    do_sample: bool = sampling(
        True,
        "draw (on)",
        shapes_choice=True,
        wire=wire("transformers generation_config", openai="temperature"),
        widget=(N_("Sample"),),
    )
    temperature: float = sampling(
        0.7,
        "Divides the logits: lower is surer, 0 always takes the likeliest token.",
        off=1.0,
        range=(0.0, 100.0),
        stage=StageSlot("temperature", "warper", 200, build_temperature),
        wire=wire("openai generation_config", gguf="temp"),
        sampler="temperature",
        plausible=(0.0, 5.0),
        widget=(N_("Temperature"), N_("Lower is surer; 0 always takes the likeliest token."), 0.01),
    )
    dynatemp_range: float = sampling(
        0.0,
        "How far the temperature follows the entropy, to either side; 0 is off.",
        range=(0.0, 100.0),
        beside="temperature",
        wire=wire("glasschat llama-server"),
        widget=(
            N_("Dynamic temperature"),
            N_("How far the temperature rises and falls with the model's doubt; 0 is off."),
            0.05,
        ),
    )
    dynatemp_exponent: float = sampling(
        1.0,
        "How the dynamic temperature rises with the entropy.",
        range=(0.0, 100.0),
        part_of="dynatemp_range",
        wire=wire("glasschat llama-server"),
        widget=(
            N_("Dynamic exponent"),
            N_("Above 1 the dynamic temperature rises late, below 1 early."),
            0.1,
        ),
    )
    top_p: float = sampling(
        0.8,
        "Keeps the fewest tokens whose probabilities reach p; 1 is off.",
        off=1.0,
        range=(0.0, 1.0),
        stage=slot(TopP, 220, off=1.0),
        wire=wire("openai generation_config gguf"),
        sampler="top_p",
        widget=(N_("Top P"), N_("Keeps the fewest tokens whose probabilities reach p."), 0.01),
    )
    top_k: int = sampling(
        0,
        "Keeps the k likeliest tokens; 0 is off.",
        range=(0, _MOST),
        stage=slot(TopK, 210),
        wire=wire("glasschat vllm sglang llama-server transformers generation_config gguf"),
        wire_off={"vllm": -1, "sglang": -1},
        sampler="top_k",
        plausible=(0, 1_000_000),
        widget=(N_("Top K"), N_("Keeps the k likeliest tokens; 0 is off."), 1),
    )
    min_p: float = sampling(
        0.0,
        "Drops tokens below this share of the likeliest one's probability; 0 is off.",
        range=(0.0, 1.0),
        stage=slot(MinP, 230),
        wire=wire("glasschat vllm sglang llama-server transformers generation_config gguf"),
        sampler="min_p",
        widget=(N_("Min P"), N_("Drops tokens far below the likeliest; 0 is off."), 0.01),
    )
    typical_p: float = sampling(
        1.0,
        "Keeps tokens of typical surprise until they reach p; 1 is off.",
        range=(0.0, 1.0),
        open_low=True,
        stage=slot(TypicalP, 240, off=1.0),
        wire=wire("glasschat llama-server transformers generation_config gguf"),
        sampler="typ_p",
        widget=(N_("Typical P"), N_("Keeps typical surprise; 1 is off."), 0.01),
    )
    top_n_sigma: float = sampling(
        0.0,
        "Keeps tokens within n standard deviations of the best logit; 0 is off.",
        range=(0.0, 100.0),
        stage=slot(TopNSigma, 205, optional=True),
        wire=wire("glasschat llama-server"),
        wire_off={"llama-server": -1.0},
        sampler="top_n_sigma",
        widget=(
            N_("Top n sigma"),
            N_("Keeps tokens within n standard deviations of the best one's score; 0 is off."),
            0.1,
        ),
    )
    xtc_probability: float = sampling(
        0.0,
        "How often the top choices are removed (XTC); 0 is off.",
        range=(0.0, 1.0),
        stage=StageSlot("xtc", "warper", 250, build_xtc, optional=True),
        wire=wire("glasschat llama-server"),
        sampler="xtc",
        widget=(
            N_("XTC probability"),
            N_("How often the top choices are removed; 0 is off."),
            0.05,
        ),
    )
    xtc_threshold: float = sampling(
        0.1,
        "With XTC: tokens this likely are removed, but the least likely of them.",
        range=(0.0, 1.0),
        part_of="xtc_probability",
        wire=wire("glasschat llama-server"),
        widget=(
            N_("XTC threshold"),
            N_("Tokens this likely are removed, but the least likely of them; above 0.5 is off."),
            0.01,
        ),
    )
    repetition_penalty: float = sampling(
        1.005,
        "Weakens tokens seen in prompt or reply; 1 is off.",
        off=1.0,
        range=(0.0, 100.0),
        open_low=True,
        stage=slot(RepetitionPenalty, 110, off=1.0),
        wire=wire(
            "glasschat vllm sglang transformers generation_config",
            llama_server="repeat_penalty",
            gguf="penalty_repeat",
        ),
        sampler="penalties",
        plausible=(0.5, 3.0),
        widget=(
            N_("Repetition penalty"),
            N_("Weakens tokens already seen in prompt or reply; 1 is off."),
            0.005,
        ),
    )
    presence_penalty: float = sampling(
        0.0,
        "Subtracted once from tokens seen in the reply; 0 is off.",
        range=(-2.0, 2.0),
        stage=slot(PresencePenalty, 120),
        wire=wire("openai"),
        sampler="penalties",
        widget=(
            N_("Presence penalty"),
            N_("Subtracted once from tokens already in the reply."),
            0.1,
        ),
    )
    frequency_penalty: float = sampling(
        0.0,
        "Subtracted per occurrence from tokens seen in the reply; 0 is off.",
        range=(-2.0, 2.0),
        stage=slot(FrequencyPenalty, 130),
        wire=wire("openai"),
        sampler="penalties",
        widget=(
            N_("Frequency penalty"),
            N_("Subtracted for every time a token is already in the reply."),
            0.1,
        ),
    )
    dry_multiplier: float = sampling(
        0.0,
        "How strongly tokens that lengthen a repeat are weakened (DRY); 0 is off.",
        range=(0.0, 100.0),
        stage=StageSlot("dry", "processor", 135, build_dry, optional=True),
        wire=wire("glasschat llama-server"),
        sampler="dry",
        widget=(
            N_("DRY multiplier"),
            N_("How strongly tokens that lengthen a repeat are weakened; 0 is off."),
            0.1,
        ),
    )
    dry_base: float = sampling(
        1.75,
        "With DRY: by which factor it grows with each token of the repeat.",
        range=(1.0, 100.0),
        part_of="dry_multiplier",
        wire=wire("glasschat llama-server"),
        widget=(N_("DRY base"), N_("Grows the penalty with each token of the repeat."), 0.05),
    )
    dry_allowed_length: int = sampling(
        2,
        "With DRY: repeats shorter than this go free.",
        range=(1, _MOST),
        part_of="dry_multiplier",
        wire=wire("glasschat llama-server"),
        widget=(N_("DRY allowed length"), N_("Shorter repeats go free, in tokens."), 1),
    )
    dry_penalty_last_n: int = sampling(
        -1,
        "With DRY: how many of the last tokens count; -1 is all of prompt and reply.",
        range=(-1, _MOST),
        part_of="dry_multiplier",
        wire=wire("glasschat llama-server"),
        widget=(N_("DRY range"), N_("Tokens that count, from the end; -1 is all."), 1),
    )
    dry_sequence_breakers: tuple[str, ...] = sampling(
        ("\n", ":", '"', "*"),
        "With DRY: no repeat reaches over this text; may be given again.",
        kind="texts",
        part_of="dry_multiplier",
        wire=wire("glasschat llama-server"),
        widget=(N_("DRY sequence breakers"),),
    )
    no_repeat_ngram_size: int = sampling(
        0,
        "Never repeats a run of this many tokens; 0 is off.",
        range=(0, _MOST),
        stage=slot(NoRepeatNGram, 140),
        wire=wire("glasschat transformers generation_config"),
        widget=(
            N_("No repeated runs of"),
            N_("Tokens; no run of this length appears twice. 0 is off."),
            1,
        ),
    )
    logit_bias: Mapping[int, float] = setting(
        {},
        "Added to the logit of each token id named.",
        factory=dict,
        stage=slot(LogitBias, 100, off={}),
        wire=wire("openai"),
        kind="bias",
    )
    max_length: int = limit(
        8192,
        "Prompt and reply together, in tokens; bounded by the context.",
        range=(1, _MOST),
        wire=wire(openai="max_tokens"),
        widget=(N_("Max Length"),),
    )
    max_new_tokens: int | None = limit(
        None,
        "The reply alone, in tokens; unset is as many as max length allows.",
        range=(1, _MOST),
        wire=wire(openai="max_tokens"),
        widget=(N_("Longest reply"), N_("In tokens."), 1),
    )
    min_new_tokens: int = limit(
        0,
        "No end token, and no stop, before this many tokens.",
        range=(0, _MOST),
        stage=StageSlot("min_new_tokens", "processor", 150, build_min_new_tokens),
        wire=wire("transformers", glasschat="min_tokens", vllm="min_tokens", sglang="min_tokens"),
        widget=(N_("Least reply"), N_("Tokens before the reply may end."), 1),
    )
    ignore_eos: bool = setting(
        False,
        "Suppress end tokens for the whole reply.",
        beside="min_new_tokens",
        wire=wire("glasschat vllm sglang llama-server"),
    )
    stop: tuple[str, ...] = limit(
        (),
        "End the reply before this text; may be given again.",
        wire=wire("openai"),
        widget=(N_("Stop at"),),
        kind="texts",
    )
    stop_token_ids: tuple[int, ...] = setting(
        (),
        "End the reply at this token id; may be given again.",
        wire=wire("glasschat vllm sglang"),
        kind="ids",
    )
    seed: int | None = limit(
        None,
        "The same seed gives the same draws; unset is a new one each time.",
        range=(0, 2**64 - 1),
        wire=wire("openai"),
        widget=(N_("Seed"),),
    )
    stages: tuple[str, ...] = setting(
        (),
        "The order in which the stages run.",
        factory=lambda: DEFAULT_ORDER,
        shapes_choice=True,
        wire=wire("glasschat", llama_server="samplers"),
        kind="order",
    )
    own_stages: tuple[CustomStage, ...] = sampling(
        (), "", kind="custom", widget=(N_("Stages of your own"),)
    )

    def __post_init__(self) -> None:
        for row in _CHECK_ORDER:
            object.__setattr__(self, row.name, row.validate(getattr(self, row.name)))
        custom = validate_custom_stages(self.own_stages, DEFAULT_ORDER)
        object.__setattr__(self, "own_stages", custom)
        object.__setattr__(self, "stages", validate_order(self.stages, custom, STAGES))

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken without a draw."""
        return not self.do_sample or self.temperature == 0.0

    def without(self, custom_stage: str) -> "SamplingParams":
        """Return the same settings without the custom stage of that name."""
        return replace(
            self,
            own_stages=tuple(stage for stage in self.own_stages if stage.name != custom_stage),
            stages=tuple(name for name in self.stages if name != custom_stage),
        )


_ROWS = read_table(SamplingParams)

STAGES: Mapping[str, StageSlot] = MappingProxyType(
    {
        slot.name: slot
        for slot in sorted(
            (row.stage for row in _ROWS.values() if row.stage), key=lambda slot: slot.place
        )
    }
)
"""The stages that come with glasschat by name, in their default order."""

DEFAULT_ORDER: tuple[str, ...] = tuple(STAGES)
"""Processors first, then warpers, as transformers runs them."""

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {**_ROWS, "stages": replace(_ROWS["stages"], default=DEFAULT_ORDER, off=DEFAULT_ORDER)}
)
"""The table of settings: every row by its name."""

# Numbers are checked before switches, these before the rest: the first wrong one is named.
_CHECK_ORDER = sorted(_ROWS.values(), key=lambda row: (not row.is_number, row.kind != "bool"))
