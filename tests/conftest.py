"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lacking import lacking
from tests.redis_server import RedisServer

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test recordings, texts and the digits checkpoint; CI may not be without it."""
    folder = Path(os.environ.get("EARSHOT_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        lacking(f"no test data at {folder}: set EARSHOT_SHARED to the folder that holds data/ and models/")
    return folder


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that answers; CI may not be without it."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder) as server:
        yield server
