"""The command, run in this process or in one of its own, against a scripted service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner, Result

from earshot.cli.__main__ import app
from tests.rpc.client.scripted import Script, served


class Run(Protocol):
    """Runs ``earshot`` in this process."""

    def __call__(self, *arguments: str, input: bytes | str | None = None) -> Result: ...  # noqa: A002


class Spawn(Protocol):
    """Runs ``earshot`` as a process of its own, its outputs in pipes."""

    def __call__(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]: ...


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    with served(Script()) as running:
        monkeypatch.setenv("EARSHOT_TARGET", running.target)
        yield running


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str, input: bytes | str | None = None) -> Result:  # noqa: A002
        return CliRunner().invoke(app, arguments, input=input, prog_name="earshot")

    return call


@pytest.fixture
def spawn() -> Spawn:
    def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "earshot.cli", *arguments]
        environment = os.environ | {"COLUMNS": "200"}
        return subprocess.run(
            command, check=False, capture_output=True, timeout=60, env=environment, **options
        )

    return call


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of clips, with other files among them."""
    folder = tmp_path / "clips"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.wav", "a.MP3", "deep/c.flac", "notes.txt"):
        (folder / name).write_bytes(name.encode())
    return folder
