"""One line of JSON for each request, under an id that its errors carry too."""

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
    """What the log will say of one request. Its texts only where that is asked for."""

    def __init__(self, method: str, path: str, given_id: str | None) -> None:
        usable = given_id is not None and _ID.fullmatch(given_id)
        self.request_id = given_id if given_id and usable else f"req-{uuid4().hex}"
        self.status: int | None = None
        self.key: str | None = None
        self.path = path
        self._method = method
        self._began = time.perf_counter()
        self._body: ReplySettings | None = None
        self._replies: Replies | None = None

    def asked(self, body: ReplySettings) -> None:
        """Replies are asked for."""
        self._body = body

    def serves(self, replies: Replies) -> None:
        """They are being made."""
        self._replies = replies

    def write(self, options: ApiOptions) -> None:
        """The request is over."""
        if options.log_requests or options.log_texts:
            log.info("%s", json.dumps(self._line(texts=options.log_texts), ensure_ascii=False))

    def _line(self, *, texts: bool) -> dict[str, Any]:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "request_id": self.request_id,
            "key": self.key,
            "method": self._method,
            "path": self.path,
            # Without a status the client left before there was one.
            "status": self.status,
            "seconds": round(time.perf_counter() - self._began, 4),
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
            asked = self._body.model_dump(include={"messages", "prompt"}, exclude_unset=True)
            line["asked"] = asked
        return line
