"""The command's frame: its sub-commands, its help, its version, its way with missing libraries."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys

import pytest
import typer

from earshot import __version__
from earshot.cli import __main__ as command
from earshot.cli.__main__ import COMMANDS, app
from earshot.cli.errors import ExitCode
from tests.unit.cli.conftest import Run, Spawn


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_help_that_says_what_it_does(run: Run, name: str) -> None:
    result = run(name, "--help")

    assert result.exit_code == 0
    assert f"earshot {name} " in result.output
    module = importlib.import_module(f"earshot.cli.{name.replace('-', '_')}")
    assert isinstance(module.app, typer.Typer)


def test_the_help_lists_all_commands_and_exit_codes(run: Run) -> None:
    result = run("--help")

    assert result.exit_code == 0
    assert all(f" {name} " in result.output for name in COMMANDS)
    for code in ExitCode:
        assert f"{code.value} " in result.output.partition("Exit codes:")[2]


def test_the_version(run: Run) -> None:
    assert run("--version").output == f"earshot {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [(), ("no-such-command",), ("transcribe",), ("transcribe", "--no-such")]
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert result.exit_code == ExitCode.USAGE
    assert "Usage: earshot" in result.output


def test_the_help_loads_neither_grpc_nor_an_engine() -> None:
    heavy = {"grpc", "torch", "numpy", "whisper", "transformers", "yaml", "psutil"}
    code = (
        "import sys, contextlib, io\n"
        "from earshot.cli.__main__ import app\n"
        "with contextlib.redirect_stdout(io.StringIO()): app(['--help'], standalone_mode=False)\n"
        "print(*(name.partition('.')[0] for name in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "typer" in loaded.split()
    assert not heavy & set(loaded.split())


@pytest.mark.parametrize(("command", "extra"), [("models", "stt"), ("up", "local")])
def test_a_missing_library_is_one_line_of_advice(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, extra: str
) -> None:
    def needs_more() -> None:
        raise ModuleNotFoundError("No module named 'wonder'", name="wonder")

    other = typer.Typer(add_completion=False)
    other.command()(needs_more)
    monkeypatch.setattr(f"earshot.cli.{command}.app", other)

    result = run(command)

    assert result.exit_code == ExitCode.FAILED
    assert result.stdout == ""
    assert result.stderr == (
        "earshot: this needs the library wonder, which is not installed: "
        f"pip install '.[{extra}]' in the checkout\n"
    )


@pytest.mark.parametrize("error", [ModuleNotFoundError("bug", name="earshot.nowhere"), RuntimeError("bug")])
def test_a_fault_of_ours_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def breaks() -> None:
        raise error

    other = typer.Typer(add_completion=False)
    other.command()(breaks)
    monkeypatch.setattr("earshot.cli.models.app", other)

    assert run("models").exception is error


def test_an_interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    other = typer.Typer(add_completion=False)
    other.command()(interrupted)
    monkeypatch.setattr("earshot.cli.models.app", other)

    assert run("models").exit_code == ExitCode.INTERRUPTED


def test_a_reader_that_has_gone_is_no_traceback(spawn: Spawn) -> None:
    command = f"{sys.executable} -m earshot.cli --help | true"
    result = subprocess.run(["bash", "-c", command], check=False, capture_output=True, timeout=60)

    assert result.stderr == b""


def test_the_app_is_what_the_script_runs(spawn: Spawn) -> None:
    assert app.info.name == "earshot"
    assert spawn("--version").stdout.decode() == f"earshot {__version__}\n"


def test_the_first_process_of_a_container_hears_the_signal_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(command, "app", lambda **_: signal.raise_signal(signal.SIGTERM))
    try:
        with pytest.raises(SystemExit) as ended:
            command.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 128 + signal.SIGTERM
