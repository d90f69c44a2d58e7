"""The state folder: one stack for each, and what a crash leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from earshot import errors
from earshot.local.state import StateFolder

HOLD = """
import sys
from pathlib import Path
from earshot.local.state import StateFolder
state = StateFolder(Path(sys.argv[1]))
with state.hold() as stale:
    state.socket.touch()
    print(stale, flush=True)
    sys.stdin.read()
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_it_is_private_and_holds_who_runs(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "new")
    with state.hold() as stale:
        assert not stale
        assert state.root.stat().st_mode & 0o777 == 0o700
        assert state.lock.read_text() == f"{os.getpid()}\n"
        assert state.holder() == os.getpid()
    assert state.holder() is None


def test_a_second_stack_is_refused(tmp_path: Path) -> None:
    with start(tmp_path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "False\n"
        with (
            pytest.raises(errors.FailedPreconditionError, match=f"process {first.pid}"),
            StateFolder(tmp_path).hold(),
        ):
            pytest.fail("it was given twice")
        assert StateFolder(tmp_path).holder() == first.pid


def test_what_a_crash_leaves_is_seen_and_replaced(tmp_path: Path) -> None:
    with start(tmp_path) as first:
        assert first.stdout is not None
        first.stdout.readline()
        first.send_signal(signal.SIGKILL)
    state = StateFolder(tmp_path)
    (state.endpoints / "left.json").touch()
    assert state.holder() is None
    assert state.socket.exists()
    with state.hold() as stale:
        assert stale
        assert not state.socket.exists()
        assert not list(state.endpoints.iterdir())


def test_a_name_too_long_for_a_socket_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="EARSHOT_STATE"):
        StateFolder(tmp_path / ("x" * 120))


def test_a_folder_that_cannot_be_written_to_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.FailedPreconditionError, match="cannot be written to"):
        StateFolder(tmp_path / "file" / "state").hold().__enter__()
