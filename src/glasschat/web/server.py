"""One process, one port: Streamlit's ASGI app behind our own middleware."""

import logging
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from glasschat.backends import LocalBackend
from glasschat.chat import Library
from glasschat.chat.own_presets import OwnPresets
from glasschat.config import WebOptions
from glasschat.errors import ServerError
from glasschat.web.access import Access, LocalAccess, open_access
from glasschat.web.access.guests import GuestAccess
from glasschat.web.access.hosts import HostCheck, names_served
from glasschat.web.site import Site, open_site
from glasschat.web.streaming import closing, routes

DRAIN_S = 3
LOCAL = LocalAccess()

# No telemetry, no file watching, no details of errors, no doors that are not needed.
_STREAMLIT = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "logger.level": "warning",
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.showEmailPrompt": False,
    # What is in the working folder or the home folder is some other program's.
    "secrets.files": [],
    "theme.baseRadius": "0.6rem",
    "theme.light.primaryColor": "#2f6f8f",
    "theme.light.linkColor": "#2f6f8f",
    "theme.light.codeTextColor": "#31333f",
    "theme.dark.primaryColor": "#5aa9cc",
    "theme.dark.linkColor": "#7cc4e4",
    "theme.dark.codeTextColor": "#e6eaf1",
}

# Model text may name pictures anywhere and none is fetched; scripts and connections are our own.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


def check_address(options: WebOptions, access: Access) -> None:
    """Raise ServerError when the address is not allowed, unknown or taken."""
    alone = isinstance(access, LocalAccess)
    if alone and not options.is_loopback:
        raise ServerError(
            f"--host {options.host} would let everyone who reaches this machine chat: add "
            "--password or --login, or --open if that is what you want, or leave --host out"
        )
    if alone and options.allowed_hosts:
        raise ServerError(
            f"--allowed-host {options.allowed_hosts[0]} would let in everyone whom a proxy under "
            "that name passes on: add --password or --login, or --open if that is what you want"
        )
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((options.host, options.port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServerError(
            f"cannot listen on {options.host} port {options.port} ({reason.lower()}): "
            "choose another with --port or --host"
        ) from None


def serve(
    backend: LocalBackend, library: Library, options: WebOptions, access: Access = LOCAL
) -> None:
    """Serve the chat until the process is told to end; the model loads meanwhile.

    Backend and library are closed at the end.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # Streamlit's threads and the engine's share the interpreter: hand over quickly, or every
    # token waits for a page to be drawn.
    sys.setswitchinterval(0.0005)

    import uvicorn

    config = uvicorn.Config(
        build_app(backend, library, options, access),
        host=options.host,
        port=options.port,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_S,
        ws_max_size=16 * 2**20,
    )
    closing.clear()

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            closing.set()
            super().handle_exit(sig, frame)

    Server(config).run()


def build_app(
    backend: LocalBackend, library: Library, options: WebOptions, access: Access = LOCAL
) -> Any:
    """The ASGI app. It starts to load the model when the server starts."""
    import streamlit as st
    from starlette.middleware import Middleware
    from streamlit import config as streamlit_config

    for name, value in _STREAMLIT.items():
        streamlit_config.set_option(name, value)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        open_site(Site(backend, library, OwnPresets(library.store)))
        open_access(access)
        backend.load_in_background()
        library.keep_watch()
        try:
            yield
        finally:
            # In this order the last tokens of all replies are kept.
            backend.close()
            library.close()

    middleware = [Middleware(_ResponseHeaders), Middleware(access.gate)]
    if options.allowed_hosts or not isinstance(access, GuestAccess):
        # A web page elsewhere that points its own name here is turned away.
        by_number = not options.is_loopback
        middleware.insert(0, Middleware(HostCheck, names_served(options), by_number=by_number))
    script = Path(__file__).with_name("page.py")
    return st.App(
        script, lifespan=lifespan, routes=routes, middleware=middleware, secrets=access.secrets
    )


class _ResponseHeaders:
    """Adds the security headers to every response."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
            await send(message)

        await self._app(scope, receive, with_headers)
