"""What servers of each kind take beyond OpenAI's own fields, and how they are asked to go on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from glasschat.sampling import SETTINGS

_BEYOND_OPENAI = frozenset(row.name for row in SETTINGS.values() if row.beyond_openai)
SIGNED = 2**63 - 1


class Counting(StrEnum):
    """Where a server counts tokens, if it does."""

    MESSAGES = "messages"
    """POST /tokenize takes a conversation. glasschat's form."""
    VLLM = "vllm"
    """The same, told apart how the last turn goes on."""
    TEMPLATE = "template"
    """POST /apply-template makes the prompt, POST /tokenize its ids: llama-server."""
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of server is spoken to.

    `fields` are the names on the wire of settings beyond OpenAI's, `off` what is written there for
    a setting that is off, where that is not our own value; all of them are sent always, as servers
    have defaults of their own. `ignored` are OpenAI's own settings that do nothing there. `go_on`
    are the fields that make it continue the last turn, None where it cannot. `stage_names` are its
    words for stages. `window` is the field for how far back penalties look; `wrapped_in` the one
    that holds `fields` as JSON, where they have no place of their own. `most_seed` is the greatest
    seed, `checks_model` whether it lists all the names that it answers to.
    """

    name: str
    fields: Mapping[str, str] = field(default_factory=dict)
    off: Mapping[str, Any] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    go_on: Mapping[str, Any] | None = None
    always: Mapping[str, Any] = field(default_factory=dict)
    stage_names: Mapping[str, str] = field(default_factory=dict)
    window: str | None = None
    wrapped_in: str | None = None
    counting: Counting = Counting.NOWHERE
    most_seed: int = SIGNED
    tells_logprobs: bool = True
    checks_model: bool = True

    @property
    def not_taken(self) -> frozenset[str]:
        """The settings that do nothing there."""
        return (_BEYOND_OPENAI - self.fields.keys()) | self.ignored


def _fields(kind: str) -> Mapping[str, str]:
    """Return the fields that the table of settings has for a kind of server, by setting."""
    return MappingProxyType(
        {row.name: row.wire[kind] for row in SETTINGS.values() if kind in row.wire}
    )


def _off(kind: str) -> Mapping[str, Any]:
    """Return the neutral values on the wire that differ from the settings' own, by setting."""
    return MappingProxyType(
        {row.name: row.wire_off[kind] for row in SETTINGS.values() if kind in row.wire_off}
    )


_CONTINUE = MappingProxyType({"add_generation_prompt": False, "continue_final_message": True})

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "glasschat": Dialect(
            "glasschat",
            fields=_fields("glasschat"),
            # The last turn of a conversation goes on there by itself.
            go_on={},
            counting=Counting.MESSAGES,
            # Those beyond the signed ones have negative names there.
            most_seed=2**64 - 1,
        ),
        "vllm": Dialect(
            "vLLM",
            fields=_fields("vllm"),
            off=_off("vllm"),
            go_on=_CONTINUE,
            counting=Counting.VLLM,
        ),
        "sglang": Dialect(
            "SGLang",
            fields=_fields("sglang"),
            off=_off("sglang"),
            go_on=_CONTINUE,
        ),
        "llama-server": Dialect(
            "llama-server",
            fields=_fields("llama-server"),
            go_on=_CONTINUE,
            always=MappingProxyType({"return_progress": True}),
            stage_names=MappingProxyType(
                {
                    row.stage.name: row.sampler
                    for row in SETTINGS.values()
                    if row.stage and row.sampler
                }
            ),
            window="repeat_last_n",
            counting=Counting.TEMPLATE,
            # The greatest of 32 bits means any; what is greater ends the server.
            most_seed=2**32 - 2,
        ),
        "transformers": Dialect(
            "transformers serve",
            fields=_fields("transformers"),
            wrapped_in="generation_config",
            # Its frequency_penalty is added to a repetition penalty of 1: something else.
            ignored=frozenset({"presence_penalty", "frequency_penalty"}),
            tells_logprobs=False,
            checks_model=False,
        ),
        "openai": Dialect("OpenAI's interface"),
    }
)
"""By the words that `--remote-kind` takes."""

UNKNOWN = "openai"

# What `owned_by` says in /v1/models.
_OWNERS = MappingProxyType(
    {"glasschat": "glasschat", "vllm": "vllm", "sglang": "sglang", "llamacpp": "llama-server"}
)


def kind_of(owner: object) -> str:
    """The kind of a server by what it says of its model's owner."""
    return _OWNERS.get(owner, UNKNOWN) if isinstance(owner, str) else UNKNOWN


def samplers(dialect: Dialect, stages: tuple[str, ...]) -> list[str]:
    """The order of the stages in the server's words, each once; those that it has not left out."""
    if not dialect.stage_names:
        return list(stages)
    named = [dialect.stage_names[name] for name in stages if name in dialect.stage_names]
    return list(dict.fromkeys(named))
