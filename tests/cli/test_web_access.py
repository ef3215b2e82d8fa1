"""How `glasschat web` is told who may come in, and what it refuses."""

import argparse
import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glasschat.cli import build_parser, main
from glasschat.cli.access_options import access_from_options
from glasschat.cli.arguments import web_options
from glasschat.cli.login_file import read_login
from glasschat.config import WebOptions
from glasschat.errors import GlasschatError, ServerError
from glasschat.web.access import AccessPolicy, LocalAccess
from glasschat.web.access.guests import OpenAccess
from glasschat.web.access.login import LoginAccess
from glasschat.web.access.shared import SharedPasswordAccess
from glasschat.web.server import check_address
from tests.support.browser import free_port

SECRET = "long enough"
LOGIN = {
    "server_metadata_url": '"https://id.example/.well-known/openid-configuration"',
    "client_id": '"glasschat"',
    "client_secret": '"client-s3cret"',
    "redirect_uri": '"https://chat.example/oauth2callback"',
    "cookie_secret": '"cookie-s3cret-cookie-s3cret-cookie-s3cret"',
    "allow": '["ada@example.org", "@example.org"]',
}


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLASSCHAT_PASSWORD", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """A file that nobody else may read."""

    def write(text: str) -> Path:
        path = tmp_path / "secret"
        path.touch(0o600)
        path.write_text(text, "utf-8")
        return path

    return write


def login(**changes: str | None) -> str:
    lines = {**LOGIN, **changes}
    return "[auth]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items() if v is not None)


def parsed(*arguments: object) -> argparse.Namespace:
    return build_parser().parse_args(["web", *map(str, arguments)])


def chosen(*arguments: object) -> tuple[AccessPolicy, WebOptions]:
    options = parsed(*arguments)
    return access_from_options(options, web_options(options))


def refused(*arguments: object) -> str:
    with pytest.raises(GlasschatError) as error:
        chosen(*arguments)
    return str(error.value)


def test_alone_on_loopback_nothing_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    access, _ = chosen()
    assert isinstance(access, LocalAccess)
    assert capsys.readouterr().err == ""


def test_a_password_in_a_file(
    file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for ending in ("", "\n", "\r\n", "\nand a note\n"):
        access, _ = chosen("--password-file", file(SECRET + ending))
        assert isinstance(access, SharedPasswordAccess)
        assert access._password.matches(SECRET)
    assert capsys.readouterr().err == ""


def test_a_password_in_the_environment_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSCHAT_PASSWORD", SECRET)
    access, _ = chosen()
    assert isinstance(access, SharedPasswordAccess)
    assert access._password.matches(SECRET)
    assert "GLASSCHAT_PASSWORD" not in os.environ, "programs that are started would have it"


def test_a_password_typed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [SECRET, SECRET, SECRET, "other than that", "short"]
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: typed.pop(0))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    access, _ = chosen("--password")
    assert isinstance(access, SharedPasswordAccess)
    assert access._password.matches(SECRET)
    assert "twice" in refused("--password")
    assert "5 characters" in refused("--password")


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert "--password-file" in refused("--password")


def test_a_password_on_the_command_line_is_not_taken_for_a_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["web", "--password", "hunter2-hunter2"]) == 2
    err = capsys.readouterr().err
    assert "takes no value" in err
    assert "hunter2" not in err


@pytest.mark.parametrize("text", ["", "short", "x" * 257, "tab\tin it all", "nul\x00 in it all"])
def test_a_password_that_will_not_do(file: Callable[[str], Path], text: str) -> None:
    message = refused("--password-file", file(text))
    assert "password" in message
    assert "\n" not in message
    assert not text or text not in message


def test_an_empty_variable_is_a_mistake_and_no_open_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSCHAT_PASSWORD", "")
    assert "GLASSCHAT_PASSWORD has 0 characters" in refused()


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    assert "no such file" in refused("--password-file", tmp_path / "none")
    assert "is a directory" in refused("--password-file", tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refused("--password-file", tmp_path / "bytes")


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read(
    file: Callable[[str], Path], mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file(SECRET)
    path.chmod(mode)
    chosen("--password-file", path)
    assert "chmod 600" in capsys.readouterr().err


def test_one_way_to_come_in(file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"--open": (), "--password": (), "--password-file": ("f",), "--login": ("f",)}
    for one, value in ways.items():
        for other, another in ways.items():
            if one != other:
                message = refused(one, *value, other, *another)
                assert one in message
                assert other in message
    monkeypatch.setenv("GLASSCHAT_PASSWORD", SECRET)
    assert "GLASSCHAT_PASSWORD" in refused("--open")


@pytest.mark.parametrize("way", ["--open", "--password-file"])
def test_another_address_is_served_with_a_warning_about_http(
    way: str, file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [way] if way == "--open" else [way, file(SECRET)]
    access, where = chosen("--host", "0.0.0.0", *given)
    assert isinstance(access, OpenAccess if way == "--open" else SharedPasswordAccess)
    assert "plain http" in capsys.readouterr().err
    check_address(WebOptions(host="0.0.0.0", port=free_port()), access)
    with pytest.raises(ServerError, match="--password"):
        check_address(where, LocalAccess())


def test_a_login(file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    access, where = chosen("--host", "0.0.0.0", "--login", file(login()))
    assert isinstance(access, LoginAccess)
    assert where.allowed_hosts == ("chat.example",)
    assert capsys.readouterr().err == "", "https is in front"
    settings = read_login(file(login(client_kwargs='{ prompt = "login" }')))
    assert settings.client_kwargs == {"prompt": "login"}
    assert settings.allow == ("ada@example.org", "@example.org")


def test_a_login_on_another_port_than_the_servers(
    file: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = login(redirect_uri='"http://localhost:8501/oauth2callback"')
    chosen("--login", file(text), "--port", "9000")
    assert "8501" in capsys.readouterr().err
    chosen("--login", file(text))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", LOGIN)
def test_a_login_with_something_missing(file: Callable[[str], Path], name: str) -> None:
    message = refused("--login", file(login(**{name: None})))
    assert f"secret: {name} is missing" in message
    assert "\n" not in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"client_id": "7"}, "client_id is no text"),
        ({"client_secret": '"  "'}, "client_secret is no text"),
        ({"server_metadata_url": '"id.example"'}, "is no address"),
        ({"server_metadata_url": '"http://id.example/x"'}, "is not https"),
        ({"server_metadata_url": '"https://a@id.example/x"'}, "is no address"),
        ({"redirect_uri": '"http://chat.example/oauth2callback"'}, "is not https"),
        ({"redirect_uri": '"https://chat.example/"'}, "does not end in /oauth2callback"),
        ({"redirect_uri": '"https://chat.example/oauth2callback?x=1"'}, "does not end in"),
        ({"redirect_uri": '"https://chat.example:port/oauth2callback"'}, "is no address"),
        ({"cookie_secret": '"short"'}, "openssl rand"),
        ({"allow": "[]"}, "nobody may come in"),
        ({"allow": '"*"'}, "is no list"),
        ({"allow": "[1]"}, "is no list"),
        ({"allow": '["example.org"]'}, "no address and no domain"),
        ({"allow": '["@"]'}, "no address and no domain"),
        ({"allow": '["*@example.org@"]'}, "no address and no domain"),
        ({"client_kwargs": '"x"'}, "is no table"),
        ({"client_kwargs": '{ scope = "email" }'}, "without openid"),
        ({"expose_tokens": '["id"]'}, "expose_tokens is not known"),
        ({"google": '{ client_id = "x" }'}, "one provider"),
    ],
)
def test_a_login_with_something_wrong(
    file: Callable[[str], Path], changes: dict[str, str], told: str
) -> None:
    message = refused("--login", file(login(**changes)))
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "told"), [("", "no section [auth]"), ("auth = 1", "no section [auth]"), ("[", "TOML")]
)
def test_a_file_that_is_no_login(file: Callable[[str], Path], text: str, told: str) -> None:
    message = refused("--login", file(text))
    assert told in message
    assert "\n" not in message


def test_without_authlib(file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "glasschat[login]" in refused("--login", file(login()))


@pytest.mark.parametrize(
    "name", ["https://chat.example", "chat.example:8501", "*", "", "a b", "a/b"]
)
def test_an_allowed_host_that_is_no_name(name: str) -> None:
    assert "allowed_host must be a host name" in refused("--allowed-host", name)


def test_a_proxy_in_front_of_nothing_that_asks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "--allowed-host", "chat.example"]) == 2
    assert "--password" in capsys.readouterr().err


def test_allowed_hosts_add_up() -> None:
    _, where = chosen("--allowed-host", "chat.example", "--allowed-host", "chat")
    assert where.allowed_hosts == ("chat.example", "chat")
