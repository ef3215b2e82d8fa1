"""Request log: one line of JSON for each request, with the request id that its errors carry."""

import json
import logging
import re
import time
from typing import Any
from uuid import uuid4

from glasschat.api.fields import ReplySettings
from glasschat.api.options import ApiOptions
from glasschat.api.replies import Replies

log = logging.getLogger("glasschat.requests")

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestLogEntry:
    """Log entry of one request. Texts of prompts and replies are in it only with `log_texts`."""

    def __init__(self, method: str, path: str, given_id: str | None) -> None:
        valid = given_id is not None and _ID.fullmatch(given_id)
        self.request_id = given_id if given_id and valid else f"req-{uuid4().hex}"
        self.status: int | None = None
        self.key: str | None = None
        self.path = path
        self._method = method
        self._started = time.perf_counter()
        self._body: ReplySettings | None = None
        self._replies: Replies | None = None

    def set_body(self, body: ReplySettings) -> None:
        """Add the body of a request for replies."""
        self._body = body

    def set_replies(self, replies: Replies) -> None:
        """Add the replies, from which the entry takes tokens, times and finish reasons."""
        self._replies = replies

    def write(self, options: ApiOptions) -> None:
        """Write the entry at the end of the request, if the options ask for a request log."""
        if options.log_requests or options.log_texts:
            log.info("%s", json.dumps(self._fields(texts=options.log_texts), ensure_ascii=False))

    def _fields(self, *, texts: bool) -> dict[str, Any]:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "request_id": self.request_id,
            "key": self.key,
            "method": self._method,
            "path": self.path,
            # Without a status the client left before there was one.
            "status": self.status,
            "seconds": round(time.perf_counter() - self._started, 4),
        }
        if self._body is not None:
            line["user"] = self._body.user
            line["stream"] = bool(self._body.stream)
        if self._replies is not None and self._replies.choices:
            usage = self._replies.usage()
            snapshots = [choice.generation.snapshot() for choice in self._replies.choices]
            first = [s.timings.ttft_s for s in snapshots if s.timings.ttft_s is not None]
            line |= {
                "prompt_tokens": usage.prompt_tokens,
                "cached_tokens": usage.prompt_tokens_details.cached_tokens,
                "completion_tokens": usage.completion_tokens,
                "first_token_seconds": round(min(first), 4) if first else None,
                "finish_reasons": [s.finish_reason for s in snapshots],
            }
            if texts:
                line["replies"] = [s.text for s in snapshots]
        if texts and self._body is not None:
            texts_of_body = self._body.model_dump(
                include={"messages", "prompt"}, exclude_unset=True
            )
            line["asked"] = texts_of_body
        return line
