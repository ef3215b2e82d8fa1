"""Who may use the API, and how much at once."""

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from glasschat.api import AdmissionControl, Api, ApiDispatcher, ApiOptions, Key, Keyring
from glasschat.backends import LocalBackend
from glasschat.cli import build_parser, main
from glasschat.cli.api_arguments import api_options
from glasschat.errors import GlasschatError, ParameterError
from glasschat.models.scripted import scripted_model
from glasschat.web.access.password import Password
from glasschat.web.access.shared import SharedPasswordAccess
from tests.api.serving import CHAT, HELLO, Served, endless, served, wait_until
from tests.api.test_refusals import error_of

ADA, BOB = "ada-0123456789abcdef", "bob-0123456789abcdef"
KEYS = Keyring([Key.from_secret("ada", ADA), Key.from_secret("bob", BOB, most_running=2)])


def bearing(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def locked() -> Iterator[Served]:
    with served(scripted_model("Hello"), ApiOptions(keys=KEYS)) as server:
        yield server


@pytest.mark.parametrize("key", [ADA, BOB])
def test_every_key_opens(locked: Served, key: str) -> None:
    assert locked.client.get("/v1/models", headers=bearing(key)).status_code == 200


WRONG = ["", "Bearer", "Bearer x", f"Basic {ADA}", ADA, f"Bearer {ADA}x", "Bearer \xe9"]
GUARDED = [("GET", "/v1/models"), ("POST", CHAT), ("POST", "/tokenize"), ("GET", "/v1/nothing")]


@pytest.mark.parametrize("header", WRONG)
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_nothing_else_does(locked: Served, method: str, path: str, header: str) -> None:
    """The key is asked for before the body is read."""
    headers = {"authorization": header.encode("latin-1")} if header else {}
    answer = locked.client.request(method, path, content=b"{" * 10_000, headers=headers)
    error = error_of(answer, 401)
    assert (error["code"], answer.headers["www-authenticate"]) == ("invalid_api_key", "Bearer")
    assert "ada-" not in error["message"]


@pytest.mark.parametrize("path", ["/health", "/ready", "/openapi.json"])
def test_probes_need_none(locked: Served, path: str) -> None:
    assert locked.client.get(path).status_code == 200


def test_a_key_is_nowhere_to_be_read(caplog: pytest.LogCaptureFixture) -> None:
    logs = logging.getLogger("glasschat.requests")
    logs.propagate, logs.level = True, logging.INFO
    options = ApiOptions(keys=KEYS, log_requests=True, log_texts=True)
    with caplog.at_level(logging.DEBUG), served(scripted_model("Hi"), options) as server:
        server.post(CHAT, {"messages": HELLO}, headers=bearing(ADA))
        server.post(CHAT, {"messages": HELLO}, headers=bearing("wrong-but-somebodys-key"))
    lines = [json.loads(r.getMessage()) for r in caplog.records if r.name == logs.name]
    # A line is written once the answer has gone: the next request's may be before it.
    assert {line["status"]: line["key"] for line in lines} == {200: "ada", 401: None}
    assert not any(word in caplog.text for word in (ADA, "wrong-but"))
    assert ADA not in repr(KEYS) + repr(options) + repr(Key.from_secret("ada", ADA))


def test_texts_are_logged_only_where_that_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    logs = logging.getLogger("glasschat.requests")
    logs.propagate, logs.level = True, logging.INFO
    secret = [{"role": "user", "content": "my-secret-question"}]
    for options in (ApiOptions(), ApiOptions(log_requests=True), ApiOptions(log_texts=True)):
        caplog.clear()
        with served(scripted_model("my-secret-reply"), options) as server:
            answer = server.post(CHAT, {"messages": secret, "user": "u1"})
            server.post(CHAT, {"messages": secret, "temperature": "my-secret"})
        lines = [json.loads(r.getMessage()) for r in caplog.records if r.name == logs.name]
        lines.sort(key=lambda line: line["status"])
        assert ("my-secret" in caplog.text) is options.log_texts
        if options.log_requests:
            assert lines[0]["request_id"] == answer.headers["x-request-id"]
            assert (lines[0]["user"], lines[0]["completion_tokens"]) == ("u1", 16)
            assert [line["status"] for line in lines] == [200, 400]


def test_a_key_has_a_limit_of_its_own() -> None:
    gate = threading.Semaphore(0)
    model = scripted_model(endless, gate=gate)
    with served(model, ApiOptions(keys=KEYS)) as server:
        waiting = threading.Thread(
            target=lambda: server.post(
                CHAT, {"messages": HELLO, "n": 2, "max_tokens": 3}, headers=bearing(BOB)
            )
        )
        waiting.start()
        wait_until(lambda: server.backend.stats().running + server.backend.stats().waiting == 2)
        answer = server.post(CHAT, {"messages": HELLO}, headers=bearing(BOB))
        error = error_of(answer, 429)
        assert error["code"] == "rate_limit_exceeded"
        assert "2" in error["message"]
        assert int(answer.headers["retry-after"]) >= 1
        # Others are not held up by it.
        others = threading.Thread(
            target=lambda: server.post(
                CHAT, {"messages": HELLO, "max_tokens": 3}, headers=bearing(ADA)
            )
        )
        others.start()
        wait_until(lambda: server.backend.stats().running + server.backend.stats().waiting == 3)
        gate.release(1000)
        waiting.join()
        others.join()
        again = server.post(CHAT, {"messages": HELLO, "max_tokens": 1}, headers=bearing(BOB))
        assert again.status_code == 200


# --- beside pages -------------------------------------------------------------------------------


def beside_password(options: ApiOptions) -> TestClient:
    backend = LocalBackend(lambda _: scripted_model("Hello"), name="scripted")
    gate = SharedPasswordAccess(Password("a long enough password"), 8501).protect(
        PlainTextResponse("page")
    )
    return TestClient(ApiDispatcher(gate, Api(AdmissionControl(backend, options))))


def test_behind_a_password_programs_need_a_key_and_no_form() -> None:
    visitor = beside_password(ApiOptions(keys=KEYS, open=False))
    assert "<form" in visitor.get("/", headers={"accept": "text/html"}).text
    error_of(visitor.get("/v1/models", headers={"accept": "text/html"}), 401)
    assert visitor.get("/v1/models", headers=bearing(ADA)).status_code == 200
    # The key opens nothing but the API.
    assert visitor.get("/media/x.png", headers=bearing(ADA)).status_code == 401


def test_behind_a_password_without_any_key_the_api_is_closed() -> None:
    visitor = beside_password(ApiOptions(open=False))
    error = error_of(visitor.get("/v1/models", headers=bearing(ADA)), 401)
    assert "--api-key-file" in error["message"]


def test_a_session_of_the_page_is_no_key() -> None:
    """Else any page that a signed-in browser visits could ask on its behalf."""
    visitor = beside_password(ApiOptions(keys=KEYS, open=False))
    here = {"accept": "text/html", "origin": "http://testserver"}
    visitor.post("/", data={"password": "a long enough password"}, headers=here)
    assert visitor.get("/").text == "page"
    error_of(visitor.get("/v1/models"), 401)


# --- pages elsewhere ----------------------------------------------------------------------------

PREFLIGHT = {
    "origin": "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


def test_pages_elsewhere_are_not_let_in(locked: Served) -> None:
    refused = locked.client.options(CHAT, headers=PREFLIGHT)
    assert refused.status_code in (401, 405)
    assert not any(name.startswith("access-control") for name in refused.headers)


def test_pages_of_an_origin_that_is_named_are() -> None:
    options = ApiOptions(keys=KEYS, cors_origins=("https://app.example",))
    with served(scripted_model("Hello"), options) as server:
        allowed = server.client.options(CHAT, headers=PREFLIGHT)
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"
        other = {**PREFLIGHT, "origin": "https://evil.example"}
        assert server.client.options(CHAT, headers=other).status_code == 400
        origin = {"origin": "https://app.example"}
        # An error has to be readable too.
        error = server.post(CHAT, {"messages": HELLO}, headers=origin)
        assert error_of(error, 401)
        assert error.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-credentials" not in error.headers


# --- the command line ---------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLASSCHAT_API_KEY", raising=False)


def read(*arguments: object) -> ApiOptions:
    options = build_parser().parse_args(["serve", *map(str, arguments)])
    chosen: ApiOptions = api_options(options, is_open=True)
    return chosen


def test_keys_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[ada]\nkey = "{ADA}"\n\n[bob]\nkey = "{BOB}"\nmost_running = 2\n')
    file.chmod(0o600)
    monkeypatch.setenv("GLASSCHAT_API_KEY", "variable-0123456789")
    keys = read("--api-key-file", file, "--api-key", "argument-0123456789").keys
    found = [keys.find(s) for s in (ADA, BOB, "variable-0123456789", "argument-0123456789")]
    assert [(k.name, k.most_running) for k in found if k] == [
        ("ada", None),
        ("bob", 2),
        ("GLASSCHAT_API_KEY", None),
        ("--api-key", None),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no API keys"),
        ("x", "no TOML"),
        ("[ada]\n", "ada has no key"),
        ('ada = "x"\n', "ada has no key"),
        ('[ada]\nkey = "SECRET"\n', "16 to 256"),
        ('[ada]\nkey = "SECRET 0123456789 0123"\n', "visible ASCII"),
        ('[ada]\nkey = "SECRET0123456789"\nlimit = 1\n', "limit"),
        ('[ada]\nkey = "SECRET0123456789"\nmost_running = "x"\n', "whole number"),
        ('[ada]\nkey = "SECRET0123456789"\nmost_running = 0\n', "between 1"),
        ('[a]\nkey = "SECRET0123456789"\n[b]\nkey = "SECRET0123456789"\n', "same API key"),
    ],
)
def test_a_file_of_keys_that_cannot_be_meant(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(GlasschatError, match=told) as error:
        read("--api-key-file", file)
    assert "SECRET" not in str(error.value)


def test_a_file_that_others_can_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[ada]\nkey = "{ADA}"\n')
    file.chmod(0o644)
    read("--api-key-file", file)
    assert "chmod 600" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "--api-key-file"),
        (["--allowed-host", "api.example"], "--api-key-file"),
        (["--open", "--api-key", ADA], "leave one of them out"),
        (["--api-key", "short"], "16 to 256"),
        (["--cors-origin", "*"], "cors_origin"),
        (["--drain", "-1"], "drain"),
        (["--timeout", "0"], "timeout"),
    ],
)
def test_what_serve_refuses(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_a_key_is_not_repeated() -> None:
    with pytest.raises(ParameterError) as error:
        Key.from_secret("ada", "too-short")
    assert "too-short" not in str(error.value)
