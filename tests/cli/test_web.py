"""What `glasschat web` refuses before it serves, and what `--help` says."""

import socket
from pathlib import Path

import pytest

from glasschat.cli import main
from glasschat.config import ModelOptions
from glasschat.errors import NotEnoughMemory
from glasschat.models.load import plan_model
from glasschat.models.memory import available_bytes


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["web", "--port", str(port)]) == 2
    err = capsys.readouterr().err
    assert str(port) in err
    assert "--port" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::"])
def test_another_address_than_loopback_wants_a_word(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["web", "--host", host]) == 2
    assert "--open" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "70000", "-1"])
def test_a_port_that_is_none(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "--port", port]) == 2
    assert "port must be" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["web"], ["ask"], ["prompt"], ["doctor"]])
def test_help_explains(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


def test_no_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_another_model_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "--also", "nowhere.gguf"]) == 2
    err = capsys.readouterr().err
    assert "nowhere.gguf" in err
    assert err.count("\n") == 1


def test_another_model_finds_the_memory_that_the_first_leaves(builtin_model_path: Path) -> None:
    one = plan_model(ModelOptions(path=builtin_model_path, context=512, slots=1))
    assert one.memory > builtin_model_path.stat().st_size
    with pytest.raises(NotEnoughMemory, match="are free"):
        plan_model(ModelOptions(path=builtin_model_path, reserved=available_bytes()))
