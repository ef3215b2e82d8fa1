"""Has a server count the tokens of a conversation, where servers of its kind do."""

from collections.abc import Mapping, Sequence
from typing import Any

from glasschat.backends.remote.client import Client
from glasschat.backends.remote.dialect import Counting
from glasschat.backends.remote.discovery import Found
from glasschat.backends.remote.request import wire_messages
from glasschat.prompt import ChatMessage


async def count_tokens(client: Client, found: Found, messages: Sequence[ChatMessage]) -> int | None:
    """The tokens of the prompt for what comes after `messages`, None where nobody says.

    Raises RemoteError.
    """
    counting, address = found.dialect.counting, client.address
    if counting is Counting.NOWHERE:
        return None
    body: dict[str, Any] = {"messages": wire_messages(messages)}
    goes_on = messages[-1].role == "assistant"
    if counting is not Counting.MESSAGES:
        body |= {"add_generation_prompt": not goes_on, "continue_final_message": goes_on}
    if counting is Counting.TEMPLATE:
        _, made = await client.post(address.own("/apply-template"), body)
        prompt = made.get("prompt") if isinstance(made, dict) else None
        if not isinstance(prompt, str):
            return None
        text = {"content": prompt, "add_special": True, "parse_special": True}
        _, told = await client.post(address.own("/tokenize"), text)
        tokens = told.get("tokens") if isinstance(told, dict) else None
        return len(tokens) if isinstance(tokens, list) else None
    _, told = await client.post(address.own("/tokenize"), {"model": found.model, **body})
    return _count(told)


def _count(told: Any) -> int | None:
    count = told.get("count") if isinstance(told, Mapping) else None
    return count if type(count) is int and count > 0 else None
