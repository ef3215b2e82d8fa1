"""What went wrong on the way to a server, in one line each: the server, the reason, the way out."""

import errno
import socket
import ssl
from collections.abc import Iterator

import httpx2

from glasschat.backends.remote.address import Address
from glasschat.errors import RemoteUnreachable


def unreachable(address: Address, error: Exception) -> RemoteUnreachable:
    """Why there was no answer."""
    if isinstance(error, httpx2.ConnectTimeout):
        return RemoteUnreachable(
            f"{address} did not take the connection in time: see whether that server runs, and "
            "whether a firewall stands between"
        )
    if isinstance(error, httpx2.TimeoutException):
        return RemoteUnreachable(
            f"{address} has not answered in time: see what that server is doing, or try again"
        )
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RemoteUnreachable(
                f"the certificate of {address} cannot be trusted ({cause.verify_message}): have "
                "it mended, or add its authority to those that this machine trusts"
            )
        if isinstance(cause, ssl.SSLError):
            return RemoteUnreachable(
                f"{address} does not speak TLS as it should ({cause.reason}): if it speaks plain "
                "http, give its address with http://"
            )
        if isinstance(cause, socket.gaierror):
            return RemoteUnreachable(
                f"there is no host named {address.host}: see whether {address} is its address"
            )
        if isinstance(cause, OSError) and cause.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
            break
    if isinstance(error, httpx2.ConnectError):
        return RemoteUnreachable(
            f"nothing answers at {address}: start that server, or give its address with --remote"
        )
    return RemoteUnreachable(
        f"{address} broke off the connection: see whether that server still runs, then try again"
    )


def broke_off(address: Address) -> RemoteUnreachable:
    """A reply ended without an ending."""
    return RemoteUnreachable(
        f"{address} broke off in the middle of the reply: see whether that server still runs, "
        "then go on"
    )


def silent(address: Address, seconds: float, *, began: bool) -> RemoteUnreachable:
    """Nothing has come for too long."""
    if began:
        return RemoteUnreachable(
            f"{address} has sent nothing more for {seconds:g} s: see whether that server still "
            "works, then go on"
        )
    return RemoteUnreachable(
        f"{address} has sent nothing for {seconds:g} s: it may have too much to do, so try again "
        "later"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """What lies behind an error, several tries to connect included."""
    seen = 0
    while error is not None and seen < 20:
        seen += 1
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__
