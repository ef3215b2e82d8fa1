"""Errors of a server and of the connection to it, each as one line that says what to do."""

import errno
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from glasschat.backends.remote.options import Address
from glasschat.errors import (
    GlasschatError,
    PromptError,
    PromptTooLong,
    RemoteRefused,
    RemoteUnreachable,
)
from glasschat.messages import Message

MAX_TEXT = 300

_TOO_LONG = {"context_length_exceeded", "exceed_context_size_error"}
_CONTEXT = re.compile(r"(?:maximum|available) context (?:length|size) (?:is |\()?([\d,]+)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response whose status is not 200: the status, and what the body says."""

    status: int
    message: str
    code: str = ""
    retry_after: str = ""
    needed: int | None = None
    context: int | None = None

    @classmethod
    def read(
        cls, status: int, headers: Mapping[str, str], body: bytes, *, secret: str | None
    ) -> "Refusal":
        """Read a response; `secret` is taken out of its text."""
        text = body.decode(errors="replace")
        answer = _object(text)
        inner = answer.get("error", answer.get("detail", answer.get("message")))
        fields: Mapping[str, Any] = inner if isinstance(inner, dict) else {}
        message = fields.get("message", inner if isinstance(inner, str) else "")
        if not message:
            message = "" if _is_page(text) else text if inner is None else json.dumps(inner)
        return cls(
            status=status,
            message=one_line(str(message), secret),
            code=str(fields.get("code") or "") + " " + str(fields.get("type") or ""),
            retry_after=headers.get("retry-after", ""),
            needed=_count(fields.get("n_prompt_tokens")),
            context=_count(fields.get("n_ctx")),
        )

    def error(self, address: Address, model: str, *, has_key: bool) -> GlasschatError:
        """Return the error to raise for it."""
        status = self.status
        message = self.message if self.message else Message("it does not say why")
        if status in (401, 403) and has_key:
            return RemoteRefused(
                "{address} does not accept the key ({status}: {said}): give another with "
                "--remote-key-file",
                address=address,
                status=status,
                said=message,
            )
        if status in (401, 403):
            return RemoteRefused(
                "{address} wants a key ({status}): give it with --remote-key-file or "
                "GLASSCHAT_REMOTE_KEY",
                address=address,
                status=status,
            )
        if status == 404:
            return RemoteRefused(
                "{address} does not have the model {model}, or no chat completions at this "
                "address ({status}: {said})",
                address=address,
                model=repr(model),
                status=status,
                said=message,
            )
        if status == 429:
            return RemoteRefused(
                "{address} has too much to do (429: {said}): try again in {pause}",
                address=address,
                said=message,
                pause=_pause(self),
            )
        if status == 503:
            return RemoteRefused(
                "{address} takes nothing at the moment (503: {said}): try again in {pause}",
                address=address,
                said=message,
                pause=_pause(self),
            )
        if status >= 500:
            return RemoteRefused(
                "{address} has failed ({status}: {said}): its log may say more",
                address=address,
                status=status,
                said=message,
            )
        if (too_long := self._too_long(address)) is not None:
            return too_long
        if status >= 400:
            return RemoteRefused(
                "{address} refuses what was asked of it ({status}: {said}): set otherwise what "
                "it names",
                address=address,
                status=status,
                said=message,
            )
        return RemoteRefused(
            "{address} answers with {status} and no reply: see whether this is the address of "
            "OpenAI's interface",
            address=address,
            status=status,
        )

    def _too_long(self, address: Address) -> PromptError | None:
        match = _CONTEXT.search(self.message)
        if not (match or _TOO_LONG & {*self.code.split()}):
            return None
        context = self.context or (_count(match[1].replace(",", "")) if match else None)
        if self.needed is not None and context is not None:
            return PromptTooLong(self.needed, context, context)
        return PromptError(
            "the conversation is too long for {address} ({said}): shorten it, or lower max length",
            address=address,
            said=self.message,
        )


def one_line(text: str, secret: str | None) -> str:
    """Return a server's text on one line: without the key and control characters, at most 300."""
    if secret:
        text = text.replace(secret, "…")
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    words = words.rstrip(".")
    return words if len(words) <= MAX_TEXT else words[: MAX_TEXT - 1] + "…"


def _pause(refusal: Refusal) -> Message:
    seconds = refusal.retry_after
    if seconds.isascii() and seconds.isdecimal():
        return Message("{seconds:,} s", seconds=int(seconds))
    return Message("a moment")


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_page(text: str) -> bool:
    return text.lstrip()[:1] == "<"


def _count(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 12:
        return int(value)
    return value if type(value) is int and value > 0 else None


def unreachable(address: Address, error: Exception) -> RemoteUnreachable:
    """Return the error for a request without an answer."""
    if isinstance(error, httpx2.ConnectTimeout):
        return RemoteUnreachable(
            "{address} did not take the connection in time: see whether that server runs, and "
            "whether a firewall stands between",
            address=address,
        )
    if isinstance(error, httpx2.TimeoutException):
        return RemoteUnreachable(
            "{address} has not answered in time: see what that server is doing, or try again",
            address=address,
        )
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RemoteUnreachable(
                "the certificate of {address} cannot be trusted ({verify_message}): have it "
                "mended, or add its authority to those that this machine trusts",
                address=address,
                verify_message=cause.verify_message,
            )
        if isinstance(cause, ssl.SSLError):
            return RemoteUnreachable(
                "{address} does not speak TLS as it should ({reason}): if it speaks plain http, "
                "give its address with http://",
                address=address,
                reason=cause.reason,
            )
        if isinstance(cause, socket.gaierror):
            return RemoteUnreachable(
                "there is no host named {host}: see whether {address} is its address",
                host=address.host,
                address=address,
            )
        if isinstance(cause, OSError) and cause.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
            break
    if isinstance(error, httpx2.ConnectError):
        return RemoteUnreachable(
            "nothing answers at {address}: start that server, or give its address with --remote",
            address=address,
        )
    return RemoteUnreachable(
        "{address} broke off the connection: see whether that server still runs, then try again",
        address=address,
    )


def connection_lost(address: Address) -> RemoteUnreachable:
    """Return the error for a stream that ended before the reply did."""
    return RemoteUnreachable(
        "{address} broke off in the middle of the reply: see whether that server still runs, "
        "then go on",
        address=address,
    )


def no_data(address: Address, seconds: float, *, began: bool) -> RemoteUnreachable:
    """Return the error for a server that has sent nothing for `seconds`."""
    if began:
        return RemoteUnreachable(
            "{address} has sent nothing more for {seconds:g} s: see whether that server still "
            "works, then go on",
            address=address,
            seconds=seconds,
        )
    return RemoteUnreachable(
        "{address} has sent nothing for {seconds:g} s: it may have too much to do, so try again "
        "later",
        address=address,
        seconds=seconds,
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, those of several attempts to connect included."""
    seen = 0
    while error is not None and seen < 20:
        seen += 1
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__
