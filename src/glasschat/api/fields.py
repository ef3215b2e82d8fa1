"""Fields that chat and completion requests have in common: settings of a reply, by OpenAI's names.

Ranges come from SamplingParams, so that the OpenAPI document, the API and the engine agree.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    create_model,
)

from glasschat.api.errors import invalid_request
from glasschat.errors import ParameterError
from glasschat.sampling import (
    DEFAULT_ORDER,
    MAX_CUSTOM_STAGES,
    SETTINGS,
    CustomStage,
    Group,
    SamplingParams,
    Setting,
    StageClasses,
)

MOST_CHOICES = 128
MOST_STOPS = 16
MOST_TOP_LOGPROBS = 20
SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 0.1, 24 * 3600.0


class RequestModel(BaseModel):
    """Base of all JSON objects in requests: strict types, and no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def setting(name: str, summary: str | None = None) -> Any:
    """Return a field with the range of the SamplingParams field `name`. Null means absent."""
    row = SETTINGS[name]
    low: dict[str, Any] = {"gt": row.low} if row.open_low else {"ge": row.low}
    return Field(None, le=row.high, description=summary or row.summary, **low)


Stop = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


def _is_false(value: bool) -> bool:
    if value:
        raise ValueError("not supported but for false")
    return value


# Not Literal[False], which takes a 0 for one.
OnlyFalse = Annotated[bool, AfterValidator(_is_false), WithJsonSchema({"const": False})]
Bias = Annotated[float, Field(ge=-100, le=100)]
StageSettings = dict[str, bool | int | float | str]
TokenIdText = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]


class StreamOptions(RequestModel):
    """Options of a stream of events."""

    include_usage: bool | None = Field(
        None, description="A last chunk without choices that has the usage of the whole request."
    )
    continuous_usage_stats: bool | None = Field(
        None, description="With include_usage: the usage so far in every chunk. (vLLM's.)"
    )
    include_obfuscation: OnlyFalse | None = Field(
        None, description="Only false: nothing is added to chunks."
    )


def _table_field(row: Setting) -> Any:
    """Return type and field of a setting that OpenAI's interface does not have."""
    if row.is_number:
        return ((int if row.kind == "int" else float) | None, setting(row.name))
    texts: Any = Annotated[list[Stop], Field(max_length=MOST_STOPS)]
    return (texts | None, Field(None, description=row.summary))


# Settings beyond OpenAI's, by their names on the wire.
_TABLE_FIELDS = {
    row.wire["glasschat"]: _table_field(row)
    for row in SETTINGS.values()
    if "glasschat" in row.wire and row.kind in ("int", "float", "texts")
}
if TYPE_CHECKING:

    class _TableSettings(RequestModel):
        pass

else:
    _TableSettings = create_model("TableSettings", __base__=RequestModel, **_TABLE_FIELDS)


class ReplySettings(_TableSettings):
    """Settings of a reply. Null is the same as leaving a field out.

    Those that the table of settings has beyond OpenAI's interface are inherited.
    """

    model: str | None = Field(
        None, description="What /v1/models calls the model; left out, the one that is served."
    )
    n: int | None = Field(None, ge=1, le=MOST_CHOICES, description="Choices for each prompt.")
    max_tokens: int | None = setting("max_new_tokens")
    temperature: float | None = setting("temperature")
    top_p: float | None = setting("top_p")
    presence_penalty: float | None = setting("presence_penalty")
    frequency_penalty: float | None = setting("frequency_penalty")
    logit_bias: dict[TokenIdText, Bias] | None = Field(
        None, description="Added to the logits of these token ids, before anything else."
    )
    stop: Stop | Annotated[list[Stop], Field(max_length=MOST_STOPS)] | None = Field(
        None, description="The reply ends before any of these texts."
    )
    seed: int | None = Field(
        None,
        ge=-(2**63),
        lt=2**63,
        description="The same seed gives the same draws; choice number i has seed + i.",
    )
    stream: bool | None = Field(None, description="Send the reply as it grows.")
    stream_options: StreamOptions | None = Field(None, description="With stream only.")
    user: str | None = Field(
        None, max_length=256, description="Who asks, in your words; kept in the log of requests."
    )

    # Beyond OpenAI.
    ignore_eos: bool | None = Field(None, description=SETTINGS["ignore_eos"].summary)
    stop_token_ids: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=100)] | None = (
        Field(None, description="The reply ends at these token ids.")
    )
    stages: list[str] | None = Field(
        None,
        description=f"The order of the stages: each of {', '.join(DEFAULT_ORDER)} once; those of "
        "own_stages too, or they run behind the processors and at the end.",
    )
    own_stages: Annotated[dict[str, StageSettings], Field(max_length=MAX_CUSTOM_STAGES)] | None = (
        Field(
            None,
            description="Stages that the server was given with --stage, by name, each with "
            "settings by field; {} for its defaults.",
        )
    )
    glass: bool | None = Field(
        None, description="How each token was chosen: a record of every stage and the draw."
    )
    timeout: float | None = Field(
        None,
        ge=SHORTEST_TIMEOUT_S,
        le=LONGEST_TIMEOUT_S,
        description="Seconds after which the request is given up with an error.",
    )


# OpenAI's defaults, not those of the page: a program gets what the same request gets elsewhere.
_DEFAULTS = {
    row.name: row.off
    for row in SETTINGS.values()
    if row.group is Group.SAMPLING and row.off != row.default
}
_API_NAMES = {row.name: row.api_name for row in SETTINGS.values() if row.api_name}
_SEEDS = 2**64


def params_of(
    request: ReplySettings, limit: int | None, context: int, classes: StageClasses
) -> SamplingParams:
    """Return the sampling parameters of the first choice. Raises ParameterError, StageNotHere.

    `limit` is the maximum number of new tokens, `context` the maximum length of prompt and reply.
    """
    given: dict[str, Any] = dict(_DEFAULTS)
    for name, field in _API_NAMES.items():
        if (value := getattr(request, field)) is not None:
            given[name] = value
    if request.logit_bias is not None:
        given["logit_bias"] = {int(name): bias for name, bias in request.logit_bias.items()}
    if request.own_stages is not None:
        given["own_stages"] = _own_stages(request, classes)
    if request.seed is not None:
        given["seed"] = request.seed % _SEEDS
    return SamplingParams(
        max_length=context,
        max_new_tokens=limit,
        **given,
    )


def _own_stages(request: ReplySettings, classes: StageClasses) -> tuple[CustomStage, ...]:
    try:
        return classes.configure(request.own_stages or {})
    except ParameterError as error:
        raise ParameterError(f"own_stages.{error.name}", error.allowed, error.value) from None


def seed_of(params: SamplingParams, choice: int) -> int | None:
    """Return the seed of choice number `choice`: seed + choice, None if the request has no seed."""
    return None if params.seed is None else (params.seed + choice) % _SEEDS


def check_stream_options(request: ReplySettings) -> None:
    """Check that `stream_options` come with `stream`, and fit together. Raises ApiError (400)."""
    options = request.stream_options
    if options is None:
        return
    if not request.stream:
        raise invalid_request("stream_options goes with stream: true", "stream_options")
    if options.continuous_usage_stats and not options.include_usage:
        raise invalid_request(
            "continuous_usage_stats goes with include_usage: true",
            "stream_options.continuous_usage_stats",
        )
