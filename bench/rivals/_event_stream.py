"""Server-sent events of a server that is measured."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from bench.rivals._libraries import RivalFailed

REPLY_SECONDS = 600.0

T = TypeVar("T")


def read_stream(
    who: str,
    port: int,
    path: str,
    body: Mapping[str, Any],
    read: Callable[[Iterator[dict[str, Any]], float], T],
) -> T:
    """Post `body`; return what `read` makes of the events and of the time of sending.

    That is a `time.perf_counter()` value. Raises RivalFailed, which says `who` it was.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REPLY_SECONDS)
    try:
        payload = json.dumps(body)
        started = time.perf_counter()
        connection.request("POST", path, payload, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            said = answer.read(2_000).decode(errors="replace")
            raise RivalFailed(f"{who} answered {answer.status}: {said}")
        return read(_events(answer, who), started)
    except (OSError, http.client.HTTPException) as error:
        raise RivalFailed(f"{who} broke off: {error}") from error
    finally:
        connection.close()


def _events(answer: http.client.HTTPResponse, who: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON of each server-sent event, to the end."""
    for line in answer:
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            continue
        event = json.loads(line[6:])
        if "error" in event:
            raise RivalFailed(f"{who} failed in mid-reply: {event['error']}")
        yield event
