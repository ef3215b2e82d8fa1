"""Reads the flags that say who may use the pages: --password, --login and --open."""

import argparse
import getpass
import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from glasschat.cli.login_file import read_login
from glasschat.cli.secret_files import read_secret, warn_if_others_can_read
from glasschat.cli.terminal import warn
from glasschat.config import LOOPBACK_HOSTS, WebOptions
from glasschat.errors import MissingExtra, ServerError
from glasschat.messages import Message
from glasschat.models.hub import is_reference
from glasschat.web.access import AccessPolicy, LocalAccess
from glasschat.web.access.guests import OpenAccess
from glasschat.web.access.login import LoginAccess
from glasschat.web.access.password import LONGEST, SHORTEST, Password
from glasschat.web.access.provider import LoginSettings
from glasschat.web.access.shared import SharedPasswordAccess

VARIABLE = "GLASSCHAT_PASSWORD"


def access_from_options(
    options: argparse.Namespace, where: WebOptions
) -> tuple[AccessPolicy, WebOptions]:
    """Return the access that the flags ask for, and `where` with the host names that it adds.

    Prints warnings about risks to standard error. Raises ServerError, MissingExtra.
    """
    # Removed from the environment: programs that this one starts must not inherit the password.
    variable = os.environ.pop(VARIABLE, None)
    given = {
        "--password": options.password,
        "--password-file": options.password_file is not None,
        VARIABLE: variable is not None,
        "--login": options.login is not None,
        "--open": options.open,
    }
    ways = [name for name, is_given in given.items() if is_given]
    if len(ways) > 1:
        raise ServerError(
            "{first} and {second} are two ways to come in: give one of them",
            first=ways[0],
            second=ways[1],
        )
    if options.login is not None:
        settings = _login_settings(options.login)
        _warn_of_other_port(settings, where)
        hosts = (*where.allowed_hosts, settings.host)
        return LoginAccess(settings), replace(where, allowed_hosts=hosts)
    if not ways:
        return LocalAccess(), where
    if not where.is_loopback:
        warn(
            "this server speaks plain http: whoever is on the way can read along, passwords too, "
            "unless a proxy in front of it speaks https"
        )
    if options.open:
        return OpenAccess(), where
    return SharedPasswordAccess(_password(options, variable), where.port), where


def _password(options: argparse.Namespace, variable: str | None) -> Password:
    if variable is not None:
        return _checked_password(variable, f"the password in {VARIABLE}")
    if options.password_file is not None:
        return _checked_password(
            _read_password_file(options.password_file), f"the password in {options.password_file}"
        )
    model = options.model
    if model and not is_reference(model) and not Path(model).exists():
        # The message does not repeat the argument: it may be the password.
        raise ServerError(
            "--password takes no value, which others would see in the list of processes: it asks "
            "for the password here (and what follows it is no model)"
        )
    if not sys.stdin.isatty():
        raise ServerError(
            "--password asks on a terminal, and there is none: give --password-file or {variable}",
            variable=VARIABLE,
        )
    try:
        text = getpass.getpass("Password for all visitors: ")
        password = _checked_password(text, "this password")
        again = getpass.getpass("The same again: ")
    except EOFError:
        raise ServerError("no password was typed: give --password-file, or type one") from None
    if again != text:
        raise ServerError("that was not the same password twice: start again")
    return password


def _checked_password(text: str, what: str) -> Password:
    if not SHORTEST <= len(text) <= LONGEST:
        raise ServerError(
            "{what} has {count:,} characters: give it {shortest} to {longest}, or it is guessed",
            what=what,
            count=len(text),
            shortest=SHORTEST,
            longest=LONGEST,
        )
    if not text.isprintable():
        raise ServerError("{what} has characters that no form can send: give it others", what=what)
    return Password(text)


def _read_password_file(file: Path) -> str:
    try:
        text = read_secret(file, Message("the password in {file}", file=file))
    except UnicodeDecodeError:
        raise ServerError(
            "the password in {file} is no text in UTF-8: save it as that", file=file
        ) from None
    warn_if_others_can_read(file)
    return text.partition("\n")[0].removesuffix("\r")


def _login_settings(file: Path) -> LoginSettings:
    if importlib.util.find_spec("authlib") is None or importlib.util.find_spec("httpx") is None:
        raise MissingExtra("--login needs Authlib and httpx: pip install 'glasschat[login]'")
    settings = read_login(file)
    warn_if_others_can_read(file)
    return settings


def _warn_of_other_port(settings: LoginSettings, where: WebOptions) -> None:
    redirect = urlsplit(settings.redirect_uri)
    port = redirect.port or {"http": 80, "https": 443}[redirect.scheme]
    if settings.host in LOOPBACK_HOSTS and port != where.port:
        warn(
            f"redirect_uri leads to port {port}, and this server listens on {where.port}: "
            "visitors come back from the provider only if something passes them on"
        )
