"""Where things of a user go, by the platform's own customs."""

from pathlib import Path

import pytest

from glasschat.folders import cache_folder, data_folder

VARIABLES = ("GLASSCHAT_DATA", "GLASSCHAT_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")


@pytest.mark.parametrize(
    ("platform", "variables", "data", "cache"),
    [
        ("linux", {}, "home/.local/share/glasschat", "home/.cache/glasschat"),
        ("linux", {"XDG_DATA_HOME": "d", "XDG_CACHE_HOME": "c"}, "d/glasschat", "c/glasschat"),
        (
            "darwin",
            {},
            "home/Library/Application Support/glasschat",
            "home/Library/Caches/glasschat",
        ),
        (
            "win32",
            {},
            "home/AppData/Local/glasschat",
            "home/AppData/Local/glasschat/cache",
        ),
        ("win32", {"LOCALAPPDATA": "local"}, "local/glasschat", "local/glasschat/cache"),
        ("linux", {"GLASSCHAT_DATA": "mine", "GLASSCHAT_CACHE": "fast"}, "mine", "fast"),
    ],
)
def test_folders(
    platform: str,
    variables: dict[str, str],
    data: str,
    cache: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert (data_folder(), cache_folder()) == (tmp_path / data, tmp_path / cache)


def test_a_relative_path_of_xdg_is_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its specification says so."""
    monkeypatch.delenv("GLASSCHAT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/x"))
    assert cache_folder() == Path("/home/x/.cache/glasschat")
