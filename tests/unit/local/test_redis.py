"""The Redis beside a stack: a real one, on a socket of its owner's alone."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis

from earshot import errors
from earshot.local.redis import Redis
from earshot.local.state import StateFolder
from tests.redis_server import need_redis


@pytest.fixture
def state() -> Iterator[StateFolder]:
    """In a folder with a short name: a socket lies in it."""
    with TemporaryDirectory(prefix="earshot-test-") as folder:
        made = StateFolder(Path(folder))
        with made.hold():
            yield made


def test_without_one_on_the_path_it_says_so(state: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(errors.FailedPreconditionError, match="redis-server is not on the PATH"):
        Redis(state)


async def test_one_that_ends_at_once_says_why(
    state: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "redis-server"
    binary.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(errors.FailedPreconditionError, match=r"exit code 3; last line of .*: no memory"):
        await Redis(state).start()


async def test_what_it_was_told_outlives_it_however_it_ends(state: StateFolder) -> None:
    need_redis()
    store = Redis(state)
    await store.start()
    with _client(store) as client:
        client.set("count", 7)
    await store.stop()
    await store.start()
    assert store.child
    with _client(store) as client:
        assert client.get("count") == b"7"
        assert stat.S_IMODE(state.redis.stat().st_mode) == 0o600
        assert client.config_get("port") == {"port": "0"}
    os.kill(store.child.pid, signal.SIGKILL)
    await store.child.exited()
    await store.start()
    with _client(store) as client:
        assert client.get("count") == b"7"
    await store.stop()
    assert not store.child.alive


def _client(store: Redis) -> redis.Redis:
    return redis.Redis.from_url(store.url)
