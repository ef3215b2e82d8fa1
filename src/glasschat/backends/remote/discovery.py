"""Discovery of a server: its kind, its model and its context, from its own endpoints.

`/v1/models` is OpenAI's; `/version` and `max_model_len` are vLLM's, `/health`, `/props` and `meta`
llama-server's, `/ready` is glasschat's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from glasschat.backends.remote.client import Client
from glasschat.backends.remote.dialect import DIALECTS, Dialect, kind_of
from glasschat.backends.remote.errors import Refusal, one_line
from glasschat.errors import RemoteRefused

MODELS = "/models"
MAX_LISTED_MODELS = 8


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server that answers, and its model.

    `context` in tokens and `slots` are 0 where the server does not report them. `model` is the id
    for requests, `name` the one to display. `versions` are by the names of programs.
    """

    dialect: Dialect
    model: str
    name: str
    context: int = 0
    slots: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)


async def discover(
    client: Client, *, model: str | None, kind: str | None, context: int | None
) -> ServerInfo:
    """Return the server as it is now; arguments that are not None are not asked for.

    Raises RemoteError.
    """
    if model is not None and kind is not None and not DIALECTS[kind].checks_model:
        await _check_ready(client, "/health")
        return ServerInfo(DIALECTS[kind], model, _short_name(model), context or 0)
    listed = await _list_models(client, wanted=model is None)
    names = [name for card in listed if isinstance(name := card.get("id"), str)]
    card = next((card for card in listed if card.get("id") == model), listed[0] if listed else {})
    dialect = DIALECTS[kind or kind_of(card.get("owned_by"))]
    chosen = _choose_model(client, names, model, dialect)
    details = await _kind_details(client, dialect, card)
    length = _positive(card.get("max_model_len"))
    return ServerInfo(
        dialect,
        chosen,
        _short_name(chosen),
        context=context or details.get("context") or length,
        slots=details.get("slots") or 0,
        versions=details.get("versions", {}),
    )


async def _list_models(client: Client, *, wanted: bool) -> list[Mapping[str, Any]]:
    """Return the models that the server lists; none where it has no list and none is wanted."""
    status, answer = await client.get(client.address.path(MODELS))
    if isinstance(answer, Refusal):
        if status == 404 and not wanted:
            return []
        raise answer.error(client.address, "", has_key=client.key is not None)
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        raise RemoteRefused(
            "{address} does not answer as OpenAI's interface does: see whether that is its "
            "address, with /v1 or what stands in its place",
            address=client.address,
        )
    return [card for card in data if isinstance(card, dict)]


def _choose_model(client: Client, names: list[str], model: str | None, dialect: Dialect) -> str:
    if model is not None and (model in names or not names or not dialect.checks_model):
        return model
    some = ", ".join(one_line(name, client.key) for name in names[:MAX_LISTED_MODELS])
    if len(names) > MAX_LISTED_MODELS:
        some += ", …"
    if model is not None:
        raise RemoteRefused(
            "{address} has no model {model}: give --remote-model one of {some}",
            address=client.address,
            model=repr(model),
            some=some,
        )
    if len(names) == 1:
        return names[0]
    if not names:
        raise RemoteRefused(
            "{address} names no model: give --remote-model the one that it has",
            address=client.address,
        )
    raise RemoteRefused(
        "{address} has {count:,} models: give --remote-model one of {some}",
        address=client.address,
        count=len(names),
        some=some,
    )


async def _kind_details(
    client: Client, dialect: Dialect, card: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what servers of that kind report on endpoints of their kind.

    Raises RemoteError while they load.
    """
    address = client.address
    if dialect is DIALECTS["glasschat"]:
        await _check_ready(client, "/ready")
        return {}
    if dialect is DIALECTS["vllm"]:
        _, answer = await client.get(address.beside("/version"))
        return {"versions": _versions("vLLM", _mapping(answer).get("version"))}
    if dialect is DIALECTS["llama-server"]:
        await _check_ready(client, "/health")
        _, answer = await client.get(address.beside("/props"))
        props = _mapping(answer)
        meta = _mapping(card.get("meta"))
        settings = _mapping(props.get("default_generation_settings"))
        return {
            "context": _positive(settings.get("n_ctx")) or _positive(meta.get("n_ctx")),
            "slots": _positive(props.get("total_slots")),
            "versions": _versions("llama.cpp", props.get("build_info")),
        }
    return {}


async def _check_ready(client: Client, path: str) -> None:
    _, answer = await client.get(client.address.beside(path))
    if isinstance(answer, Refusal):
        raise answer.error(client.address, "", has_key=client.key is not None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _positive(value: Any) -> int:
    return value if type(value) is int and 0 < value < 2**31 else 0


def _versions(program: str, version: Any) -> Mapping[str, str]:
    return {program: one_line(version, None)} if isinstance(version, str) and version else {}


def _short_name(model: str) -> str:
    """Return the name of a model; of a file without its folders on the server's machine."""
    is_file = model.lower().endswith(".gguf") or model.startswith(("/", "./", "../"))
    return PurePath(model).name if is_file else model
