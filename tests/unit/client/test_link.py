"""What a measured link calls for."""

from __future__ import annotations

import grpc
import pytest

from earshot.client.link import PADDING, Clip, Link, probes

MBIT = 125_000  # bytes a second
HOUR = Clip(115_000_000, 3600.0, is_pcm=True)
TEN_SECONDS = Clip(320_000, 10.0, is_pcm=True)


def _failure(code: grpc.StatusCode) -> grpc.RpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


def _at(rate: float) -> Link:
    link = Link()
    link.took(1.0, 1.0 + PADDING / rate)
    return link


@pytest.mark.parametrize(
    ("clip", "rate", "codec"),
    [
        pytest.param(TEN_SECONDS, 1000 * MBIT, None, id="a fast link: as it is"),
        pytest.param(TEN_SECONDS, 10 * MBIT, "flac", id="half a clip without loss: FLAC"),
        pytest.param(TEN_SECONDS, 1 * MBIT, "opus:32k", id="a second saved: Opus"),
        pytest.param(TEN_SECONDS, 3 * MBIT, "flac", id="less than half a second saved: no loss"),
        pytest.param(Clip(160_000, 10.0, is_pcm=False), 10 * MBIT, None, id="FLAC is left as it is"),
        pytest.param(Clip(160_000, 10.0, is_pcm=False), 1 * MBIT, "opus:32k", id="unless the link is slow"),
        pytest.param(
            Clip(115_000_000, 3600.0, is_pcm=True), 100 * MBIT, "flac", id="Opus of an hour takes long"
        ),
    ],
)
def test_what_gets_there_first_if_possible_without_loss(clip: Clip, rate: float, codec: str | None) -> None:
    assert _at(rate).codec(clip) == codec


def test_the_padding_is_the_difference_of_two_calls() -> None:
    _, bare, long = probes()

    assert PADDING < long.ByteSize() - bare.ByteSize() < PADDING + 8


def test_the_rate_is_what_the_padding_took() -> None:
    link = Link()

    link.took(0.250, 0.250 + PADDING / MBIT)

    assert link.rate == pytest.approx(MBIT)


def test_two_times_that_are_the_same_are_a_fast_link() -> None:
    link = Link()

    link.took(0.2, 0.1)

    assert link.codec(TEN_SECONDS) is None


def test_what_is_not_answered_in_time_is_slow() -> None:
    link = Link()

    link.failed(_failure(grpc.StatusCode.DEADLINE_EXCEEDED))

    assert link.codec(TEN_SECONDS) == "opus:32k"


def test_who_may_not_ask_sends_audio_as_it_is() -> None:
    link = Link()

    link.failed(_failure(grpc.StatusCode.UNAUTHENTICATED))

    assert link.codec(TEN_SECONDS) is None


def test_a_rate_holds_for_a_while() -> None:
    now = 0.0
    link = Link(lambda: now)

    assert not link.is_known
    link.took(0.1, 0.2)
    now = 59.0
    assert link.is_known
    now = 61.0
    assert not link.is_known
