"""The API without pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from glasschat.api.app import Api
from glasschat.api.hosts import HostCheck, names_served
from glasschat.config import WebOptions


def api_alone(api: Api, where: WebOptions) -> Starlette:
    """The ASGI app. It starts to load the model when the server starts, and closes the backend."""
    backend = api.desk.backend

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        backend.load_in_background()
        try:
            yield
        finally:
            backend.close()

    by_number = not where.is_loopback
    names = Middleware(HostCheck, names_served(where), by_number=by_number)
    app = Starlette(lifespan=lifespan, middleware=[names])
    app.router.default = api
    return app
