"""Which users of a provider are allowed, and what is served before they sign in."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from glasschat.web.access.base import User
from glasschat.web.access.login import LoginAccess, _session_key
from glasschat.web.access.provider import LoginSettings, user_from_claims

PAGE = {"accept": "text/html"}
ADA = {"_streamlit_user": "ada.signed"}


def settings(*allow: str) -> LoginSettings:
    return LoginSettings(
        server_metadata_url="https://id.example/.well-known/openid-configuration",
        client_id="glasschat",
        client_secret="client-s3cret",
        redirect_uri="https://chat.example:8443/oauth2callback",
        cookie_secret="cookie-s3cret" * 4,
        allow=allow,
    )


def mail(address: str, verified: object = True) -> dict[str, object]:
    return {"email": address, "email_verified": verified}


@pytest.mark.parametrize(
    ("allow", "claims", "may"),
    [
        (["ada@example.org"], mail("ada@example.org"), True),
        (["ada@example.org"], mail("Ada@Example.org"), True),
        (["ada@example.org"], mail("ada@example.org", "true"), True),
        (["ada@example.org"], mail("bob@example.org"), False),
        (["@example.org"], mail("bob@example.org"), True),
        (["@example.org"], mail("bob@evil.example.org"), False),
        (["@example.org"], mail("bob@example.org.evil"), False),
        (["@example.org"], mail("bob@notexample.org"), False),
        (["@example.org"], mail('"@example.org"@evil'), False),
        (["@example.org"], mail("@example.org@evil"), False),
        (["@example.org"], mail("ada@example.org", False), False),
        (["@example.org"], mail("ada@example.org", None), False),
        (["@example.org"], mail("ada@example.org", "false"), False),
        (["@example.org"], mail("ada@example.org", 1), False),
        (["@example.org"], {"email": "ada@example.org"}, False),
        (["@example.org"], {"email_verified": True}, False),
        (["@example.org"], {}, False),
        (["@"], mail(""), False),
        ([], mail("ada@example.org"), False),
        (["*"], {}, True),
    ],
)
def test_who_may_come_in(allow: list[str], claims: dict[str, object], may: bool) -> None:
    assert settings(*allow).allows(claims) is may


def test_a_person_is_issuer_and_subject_whatever_the_address() -> None:
    claims = {"iss": "https://id.example", "sub": "42", "name": "Ada", **mail("ada@example.org")}
    assert user_from_claims(claims) == User("https://id.example#42", "Ada", can_sign_out=True)
    moved = user_from_claims({**claims, **mail("countess@example.net"), "name": "Countess"})
    assert moved and moved.owner == "https://id.example#42"
    elsewhere = user_from_claims({**claims, "iss": "https://other.example"})
    assert elsewhere and elsewhere.owner != moved.owner


@pytest.mark.parametrize("claims", [{}, {"iss": "i"}, {"sub": "s"}, {"iss": "", "sub": "s"}])
def test_nobody_in_particular_is_nobody(claims: dict[str, object]) -> None:
    assert user_from_claims(claims) is None


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(settings("*"))
    assert settings("*").secrets["auth"]["client_secret"] == "client-s3cret"


def test_where_it_is_served() -> None:
    assert settings().origin == "https://chat.example:8443"
    assert settings().host == "chat.example"


class GuardedSite:
    """The middleware before an app that stands for Streamlit, and one visitor."""

    def __init__(self) -> None:
        self.access = LoginAccess(settings("*"))
        routes = [
            Route("/oauth2callback", lambda _: RedirectResponse("/", 302)),
            Route("/{path:path}", self.inside, methods=["GET", "POST", "PUT"]),
        ]
        self.visitor = TestClient(
            self.access.protect(Starlette(routes=routes)),
            base_url="https://chat.example:8443",
            follow_redirects=False,
        )

    @staticmethod
    def inside(request: Request) -> Response:
        return PlainTextResponse("inside")

    def sign_in(self) -> None:
        """What a page does once Streamlit has told it who is there."""
        self.visitor.cookies.update(ADA)
        key = _session_key(ADA)
        assert key
        self.access._sessions.begin(key, User("ada", "Ada", can_sign_out=True))


@pytest.fixture
def site() -> GuardedSite:
    return GuardedSite()


CLOSED = [
    "/_stcore/upload_file/a/b",
    "/_stcore/metrics",
    "/media/x.json",
    "/replies/1",
    "/v1/models",
]


@pytest.mark.parametrize("path", CLOSED)
def test_a_stranger_gets_the_way_to_sign_in_and_no_more(site: GuardedSite, path: str) -> None:
    assert site.visitor.get("/").text == "inside"
    assert site.visitor.get("/static/js/index.js").text == "inside"
    assert site.visitor.put(path).status_code == 401
    assert site.visitor.get(path, headers=PAGE).status_code == 401
    site.visitor.cookies.update(ADA)
    assert site.visitor.get(path).status_code == 401, "Streamlit has not said whose that is"


@pytest.mark.parametrize("path", CLOSED)
def test_whoever_is_signed_in_gets_it(site: GuardedSite, path: str) -> None:
    site.sign_in()
    assert site.visitor.get(path).text == "inside"
    site.visitor.cookies.update({"_streamlit_user_1": "more of it"})
    assert site.visitor.get(path).status_code == 401, "another cookie is somebody else's"


def test_signing_out_closes_all_tabs(site: GuardedSite) -> None:
    site.sign_in()
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert site.visitor.get("/auth/logout", headers=elsewhere).status_code == 403
    assert site.visitor.get("/media/x").text == "inside"
    assert site.visitor.get("/auth/logout").text == "inside", "Streamlit's part comes after"
    assert site.visitor.get("/media/x").status_code == 401
    site.sign_in()
    assert site.visitor.get("/media/x").status_code == 401, "by a page that was still open"


def test_the_address_survives_the_way_to_the_provider(site: GuardedSite) -> None:
    site.visitor.get("/?chat=Ab_-9&x=a%20b", headers=PAGE)
    back = site.visitor.get("/oauth2callback?state=1&code=2")
    assert back.headers["location"] == "/?chat=Ab_-9&x=a%20b"
    again = site.visitor.get("/oauth2callback?state=1&code=2")
    assert again.headers["location"] == "/", "once"


@pytest.mark.parametrize(
    "wanted", ["/evil.example", "%2F%2Fevil.example", "%0d%0aset-cookie:a=b", ""]
)
def test_what_was_wanted_leads_nowhere_else(site: GuardedSite, wanted: str) -> None:
    site.visitor.cookies.set("glasschat_wanted", wanted)
    back = site.visitor.get("/oauth2callback?state=1").headers
    assert back["location"] == "/" or back["location"].startswith("/?")
    assert "\r" not in back["location"]
    assert back.get_list("set-cookie")[0].startswith("glasschat_wanted=")


def test_back_from_signing_out_at_the_provider(site: GuardedSite) -> None:
    back = site.visitor.get("/oauth2callback")
    assert (back.status_code, back.headers["location"]) == (303, "/")


def test_under_another_name_nobody_can_sign_in_and_is_told_where(site: GuardedSite) -> None:
    site.visitor.base_url = "https://127.0.0.1:8443"
    answer = site.visitor.get("/", headers=PAGE)
    assert answer.status_code == 400
    assert "https://chat.example:8443" in answer.text
    assert site.visitor.get("/_stcore/health").text == "inside", "a check from this machine"
