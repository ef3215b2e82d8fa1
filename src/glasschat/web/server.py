"""One process, one port: Streamlit's ASGI app behind our own middleware."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from glasschat.api import (
    AdmissionControl,
    Api,
    ApiDispatcher,
    ApiOptions,
    RemoteStub,
)
from glasschat.api.hosts import HostCheck, allowed_host_names
from glasschat.api.server import check_port_free, run_server
from glasschat.backends import Backend, LocalBackend
from glasschat.chat import Library
from glasschat.chat.user_presets import UserPresets
from glasschat.config import WebOptions
from glasschat.errors import ServerError
from glasschat.web.access import AccessPolicy, LocalAccess, set_access_policy
from glasschat.web.access.guests import OpenAccess
from glasschat.web.glass import routes as glass
from glasschat.web.origins import OriginCheck
from glasschat.web.site import Site, set_site
from glasschat.web.streaming import closing, routes

LOCAL = LocalAccess()
API = ApiOptions()

# No telemetry, no file watching, no details of errors, no interfaces that are not needed.
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
    # A page that opened this one, or that it opened, has no hold on it, and none embeds its files.
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def check_address(options: WebOptions, access: AccessPolicy) -> None:
    """Raise ServerError when the address is not allowed, unknown or taken."""
    alone = isinstance(access, LocalAccess)
    if alone and not options.is_loopback:
        raise ServerError(
            "--host {host} would let everyone who reaches this machine chat: add --password or "
            "--login, or --open if that is what you want, or leave --host out",
            host=options.host,
        )
    if alone and options.allowed_hosts:
        raise ServerError(
            "--allowed-host {allowed_hosts} would let in everyone whom a proxy under that name "
            "passes on: add --password or --login, or --open if that is what you want",
            allowed_hosts=options.allowed_hosts[0],
        )
    check_port_free(options.host, options.port)


def serve(
    backend: Backend,
    library: Library,
    options: WebOptions,
    access: AccessPolicy = LOCAL,
    api: ApiOptions = API,
    *,
    others: Mapping[str, Backend] = MappingProxyType({}),
) -> None:
    """Serve the chat until the process is told to end; the model loads meanwhile.

    Visitors may choose one of the `others` instead of `backend`. All of them and the library are
    closed at the end. The API is there for a backend of this process.
    """
    closing.clear()
    served_api = _build_api(backend, api)
    app = build_app(backend, library, options, access, served_api, others=others)
    run_server(app, served_api, host=options.host, port=options.port, on_drained=closing.set)


def _build_api(backend: Backend, options: ApiOptions) -> Api | RemoteStub:
    if isinstance(backend, LocalBackend):
        return Api(AdmissionControl(backend, options))
    return RemoteStub(backend)


def build_app(
    backend: Backend,
    library: Library,
    options: WebOptions,
    access: AccessPolicy = LOCAL,
    api: Api | RemoteStub | None = None,
    *,
    others: Mapping[str, Backend] = MappingProxyType({}),
) -> Any:
    """Return the ASGI app, with the API on paths of its own.

    The models begin to load when the server starts.
    """
    import streamlit as st
    from starlette.middleware import Middleware
    from streamlit import config as streamlit_config

    for name, value in _STREAMLIT.items():
        streamlit_config.set_option(name, value)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        set_site(Site(backend, library, UserPresets(library.store), others=others))
        set_access_policy(access)
        for loaded in (backend, *others.values()):
            loaded.load_in_background()
        library.keep_watch()
        try:
            yield
        finally:
            # In this order the last tokens of all replies are kept.
            for loaded in (backend, *others.values()):
                loaded.close()
            library.close()

    # The API authenticates by keys of its own, before the middleware for people: a program signs
    # in nowhere.
    for_programs = [Middleware(ApiDispatcher, api)] if api is not None else []
    middleware = [
        *for_programs,
        Middleware(_ResponseHeaders),
        Middleware(OriginCheck, options.allowed_hosts),
        Middleware(access.protect),
    ]
    if options.allowed_hosts or not isinstance(access, OpenAccess):
        # A web page elsewhere that points its own name here is turned away.
        allow_addresses = not options.is_loopback
        middleware.insert(
            0, Middleware(HostCheck, allowed_host_names(options), allow_addresses=allow_addresses)
        )
    script = Path(__file__).with_name("page.py")
    return st.App(
        script,
        lifespan=lifespan,
        routes=[*routes, *glass.routes],
        middleware=middleware,
        secrets=access.secrets,
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
