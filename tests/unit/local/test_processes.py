"""Children, their groups, and what they leave behind: nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from earshot.local.processes import Child, last_line

FAMILY = "import subprocess, sys, time; subprocess.Popen(['sleep', '1000']); print('up', flush=True); {rest}"

GENTLE = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("goodbye"))
print("up", flush=True)
signal.pause()
"""


async def start(log: Path, code: str) -> Child:
    return await Child.start((sys.executable, "-c", code), os.environ, log)


async def said(log: Path, word: str) -> None:
    async with asyncio.timeout(20):
        while word not in await asyncio.to_thread(log.read_text):
            await asyncio.sleep(0.02)


async def test_stop_is_gentle_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = await start(log, GENTLE)
    await said(log, "up")
    await child.stop(patience=20)
    assert child.obituary() == f"exit code 1; last line of {log}: goodbye"


async def test_what_does_not_listen_is_killed_with_all_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = await start(
        log, FAMILY.format(rest="import signal; signal.signal(15, signal.SIG_IGN); time.sleep(1000)")
    )
    await said(log, "up")
    family = psutil.Process(child.pid).children(recursive=True)
    assert len(family) == 1
    await child.stop(patience=0.2)
    assert "SIGKILL" in child.obituary()
    psutil.wait_procs(family, timeout=20)
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family)


async def test_a_child_that_dies_takes_its_own_along(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = await start(log, FAMILY.format(rest="time.sleep(1); sys.exit(3)"))
    await said(log, "up")
    (orphan,) = psutil.Process(child.pid).children(recursive=True)
    await child.exited()
    assert not child.alive
    assert "exit code 3" in child.obituary()
    psutil.wait_procs([orphan], timeout=20)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


async def test_a_child_has_a_process_group_of_its_own_in_our_session(tmp_path: Path) -> None:
    """So that Ctrl-C on the terminal reaches the supervisor alone."""
    child = await start(tmp_path / "log", "import time; time.sleep(1000)")
    assert os.getpgid(child.pid) == child.pid
    assert os.getsid(child.pid) == os.getsid(0), "engines give way only within a session"
    await child.stop(patience=0)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "nothing in {log}"),
        ("first\n\n  second  \n\n", "last line of {log}: second"),
        (None, "nothing in {log}"),
    ],
)
def test_the_last_line_that_says_something(tmp_path: Path, content: str | None, expected: str) -> None:
    log = tmp_path / "log"
    if content is not None:
        log.write_text(content)
    assert last_line(log) == expected.format(log=log)
