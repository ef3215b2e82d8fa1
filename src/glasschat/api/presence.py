"""Whether anything can be asked of this server, and of what."""

from glasschat.api.errors import ApiError, loading
from glasschat.backends import Backend, Description, Readiness


class Presence:
    """What stands behind the server's paths, and whether it ends. For the event loop alone."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.draining = False

    def described(self) -> Description:
        """What stands behind, as far as everybody may know."""
        return self.backend.describe()

    def ready(self) -> Description:
        """What is being served. Raises ApiError while nothing can be."""
        if self.draining:
            raise loading("the server is ending: ask another, or this one in a moment")
        description = self.described()
        if description.readiness is Readiness.FAILED:
            raise loading(description.error or "the model could not be loaded")
        if description.error is not None:
            raise loading(description.error)
        if description.readiness is Readiness.LOADING:
            share = f"{description.progress:.0%}"
            raise loading(f"the model is still loading, {share} is done: wait a moment")
        return description

    def check_model(self, name: str | None, served: str) -> None:
        """Raise ApiError for a model that is not here."""
        if name not in (None, served):
            message = f"there is no model {name!r} here: the one that is served is {served!r}"
            raise ApiError(404, message, param="model", code="model_not_found")

    async def drain(self) -> None:
        """Take no more."""
        self.draining = True
