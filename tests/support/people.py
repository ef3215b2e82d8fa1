"""An OpenID Connect provider that others wrote, on loopback, and the people whom it knows."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from oidc_provider_mock import User, run_server_in_thread
from playwright.sync_api import Page, Route

from tests.support.browser import WebServer, serving, web_command

PEOPLE = {
    "ada": {"name": "Ada", "email": "ada@example.org", "email_verified": True},
    "bob": {"name": "Bob", "email": "bob@example.org", "email_verified": True},
    "eve": {"name": "Eve", "email": "eve@elsewhere.example", "email_verified": True},
    "mallory": {"name": "Ada", "email": "ada@example.org", "email_verified": False},
}


@contextmanager
def provider() -> Iterator[str]:
    """It runs until the block ends; its issuer."""
    users = [User(sub=sub, claims=claims) for sub, claims in PEOPLE.items()]
    with run_server_in_thread(require_nonce=True, user_claims=users) as server:
        yield f"http://localhost:{server.server_port}"


@contextmanager
def site_with_login(issuer: str, *arguments: str, folder: Path) -> Iterator[WebServer]:
    """`glasschat web --login` for people of example.org, whose provider that is."""

    def command(port: int, given: Sequence[str]) -> list[str]:
        file = folder / "login.toml"
        lines = {
            "server_metadata_url": f"{issuer}/.well-known/openid-configuration",
            "client_id": "glasschat",
            "client_secret": "client-s3cret",
            "cookie_secret": "cookie-s3cret-" * 3,
            "redirect_uri": f"http://127.0.0.1:{port}/oauth2callback",
            "allow": ["@example.org"],
        }
        text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in lines.items())
        file.touch(0o600)
        file.write_text(f"[auth]\n{text}\n", "utf-8")
        return web_command(port, ["--login", str(file), *given])

    with serving(*arguments, folder=folder, command=command) as server:
        yield server


def stay_here(page: Page) -> None:
    """Let the page fetch nothing from other machines: the provider's pages name a style there."""

    def decide(route: Route) -> None:
        own = route.request.url.startswith(("http://127.0.0.1:", "http://localhost:", "data:"))
        route.continue_() if own else route.abort()

    page.route("**/*", decide)
