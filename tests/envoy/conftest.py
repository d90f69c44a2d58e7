"""Envoy for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from tests.envoy import door as doors
from tests.envoy import harness
from tests.envoy.harness import Plane


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a short name: sockets lie in it."""
    with TemporaryDirectory(prefix="earshot-test-") as folder:
        yield Path(folder)


@pytest_asyncio.fixture
async def plane(scratch: Path) -> AsyncIterator[Plane]:
    """Envoy of its own for one test, without replicas."""
    async with harness.plane(scratch) as made:
        yield made


@pytest_asyncio.fixture
async def full(scratch: Path) -> AsyncIterator[Plane]:
    """Envoy of its own for one test, with stt-1, stt-2 and classification-1."""
    async with harness.full_plane(scratch) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing() -> AsyncIterator[Plane]:
    """The same for all tests of a module, which leave it as it is."""
    with TemporaryDirectory(prefix="earshot-test-") as folder:
        async with harness.full_plane(Path(folder)) as made:
            yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door() -> AsyncIterator[doors.Door]:
    """Envoy that asks who is calling, for all tests of a module."""
    async with doors.opened() as made:
        yield made
