"""Dialects of OpenAI's API: the fields that each kind of server takes beyond it.

The names of settings on the wire come from the table of settings (sampling/params.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from glasschat.sampling import SETTINGS

_BEYOND_OPENAI = frozenset(row.name for row in SETTINGS.values() if row.beyond_openai)
SIGNED = 2**63 - 1


class Counting(StrEnum):
    """The endpoint at which a server counts tokens, if it has one."""

    MESSAGES = "messages"
    """POST /tokenize with a conversation, in glasschat's form."""
    VLLM = "vllm"
    """POST /tokenize with a conversation, and fields that say whether the last turn goes on."""
    TEMPLATE = "template"
    """POST /apply-template for the prompt, then POST /tokenize for its ids: llama-server."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of server takes requests for chat completions.

    `fields` are the names on the wire of settings beyond OpenAI's. `off` is the wire's neutral
    value of a setting, where it differs from glasschat's. All of `fields` are always sent, because
    servers have other defaults. `ignored` are OpenAI's own settings that have no effect at such a
    server. `continue_fields` make it continue the last turn, None where it cannot. `always` is sent
    with every request. `stage_names` are its names of sampling stages. `window` is the field for
    how far back penalties look. `length_fields` take the length of the context in place of -1.
    `wrapped_in` is the field that holds `fields` as JSON, where they are not fields of the request.
    `max_seed` is the greatest seed. `checks_model` says whether the server lists all the model
    names that it answers to.
    """

    name: str
    fields: Mapping[str, str] = field(default_factory=dict)
    off: Mapping[str, Any] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    continue_fields: Mapping[str, Any] | None = None
    always: Mapping[str, Any] = field(default_factory=dict)
    stage_names: Mapping[str, str] = field(default_factory=dict)
    window: str | None = None
    length_fields: frozenset[str] = frozenset()
    wrapped_in: str | None = None
    counting: Counting = Counting.NONE
    max_seed: int = SIGNED
    has_logprobs: bool = True
    checks_model: bool = True

    @property
    def not_taken(self) -> frozenset[str]:
        """Return the settings that have no effect at such a server."""
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
            # glasschat continues the last turn without being asked.
            continue_fields={},
            counting=Counting.MESSAGES,
            # The wire's seeds are signed: greater ones are sent as negative numbers.
            max_seed=2**64 - 1,
        ),
        "vllm": Dialect(
            "vLLM",
            fields=_fields("vllm"),
            off=_off("vllm"),
            continue_fields=_CONTINUE,
            counting=Counting.VLLM,
        ),
        "sglang": Dialect(
            "SGLang",
            fields=_fields("sglang"),
            off=_off("sglang"),
            continue_fields=_CONTINUE,
        ),
        "llama-server": Dialect(
            "llama-server",
            fields=_fields("llama-server"),
            off=_off("llama-server"),
            continue_fields=_CONTINUE,
            always=MappingProxyType({"return_progress": True}),
            stage_names=MappingProxyType(
                {
                    row.stage.name: row.sampler
                    for row in SETTINGS.values()
                    if row.stage and row.sampler
                }
            ),
            window="repeat_last_n",
            # Its newer versions refuse -1, which meant the whole context.
            length_fields=frozenset({"dry_penalty_last_n"}),
            counting=Counting.TEMPLATE,
            # The greatest number of 32 bits means a random seed; a greater one ends the server.
            max_seed=2**32 - 2,
        ),
        "transformers": Dialect(
            "transformers serve",
            fields=_fields("transformers"),
            wrapped_in="generation_config",
            # Its frequency_penalty is added to a repetition penalty of 1: another definition.
            ignored=frozenset({"presence_penalty", "frequency_penalty"}),
            has_logprobs=False,
            checks_model=False,
        ),
        "openai": Dialect("OpenAI's interface"),
    }
)
"""Dialects by the values of `--remote-kind`."""

UNKNOWN = "openai"

# Dialects by `owned_by` in the answer to /v1/models.
_OWNERS = MappingProxyType(
    {"glasschat": "glasschat", "vllm": "vllm", "sglang": "sglang", "llamacpp": "llama-server"}
)


def kind_of(owner: object) -> str:
    """Return the kind of a server, by `owned_by` in its list of models."""
    return _OWNERS.get(owner, UNKNOWN) if isinstance(owner, str) else UNKNOWN


def samplers(dialect: Dialect, stages: tuple[str, ...]) -> list[str]:
    """Return the order of the stages by the server's names, each once, without those it lacks."""
    if not dialect.stage_names:
        return list(stages)
    named = [dialect.stage_names[name] for name in stages if name in dialect.stage_names]
    return list(dict.fromkeys(named))
