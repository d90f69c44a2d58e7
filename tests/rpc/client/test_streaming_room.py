"""A source that gives more than may be kept: it waits, and nothing is dropped."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from earshot.client import UncommittedLimitError
from tests.rpc.client.listening import (
    PCM,
    Listen,
    check,
    cut,
    flac,
    noise,
)
from tests.rpc.client.streaming_service import RATE, Service


class Counted:
    """Pieces, and how many were taken; the last ones only when the service reads again."""

    def __init__(self, count: int, size: int = 32_000) -> None:
        self.count, self.size, self.taken = count, size, 0

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.count):
            self.taken += 1
            yield bytes(self.size)


def test_the_source_waits_where_as_much_is_kept_as_may_be(listen: Listen, service: Service) -> None:
    service.commits = False
    source = Counted(100)

    with pytest.raises(UncommittedLimitError, match="max_uncommitted_bytes") as caught:
        listen(source, sample_rate=RATE, max_uncommitted_bytes=320_000, give_up_after=0.2)

    assert caught.value.held == 320_000
    assert source.taken == 11
    assert sum(service.connections[0].sizes) <= 320_000


def test_the_source_goes_on_when_there_is_room(listen: Listen, service: Service) -> None:
    check(listen(cut(PCM), sample_rate=RATE, max_uncommitted_bytes=2 * RATE * 2, give_up_after=10_000))


def test_a_file_with_a_header_that_cannot_be_kept(listen: Listen, service: Service) -> None:
    with pytest.raises(UncommittedLimitError, match="codec='flac'"):
        listen(io.BytesIO(flac(noise(4))), max_uncommitted_bytes=1_000)
