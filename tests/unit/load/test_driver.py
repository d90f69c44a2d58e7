"""Loads on a scripted service: what is sent, how much at a time, and how it is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from earshot.client import AsyncClient, RetryPolicy
from earshot.errors import InvalidArgumentError, ResourceExhaustedError, UnavailableError
from earshot.load import work
from earshot.load.driver import Driver, Pace
from earshot.load.tally import Tally, percentiles
from earshot.load.work import Answer, Work
from tests.rpc.client.scripted import Script, heard, scored, served


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    with served(Script()) as running:
        yield running


@pytest.fixture
async def client(script: Script) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(script.target, retry=RetryPolicy(max_attempts=1)) as made:
        yield made


@dataclass
class Gate:
    """A work that is answered when it is let through."""

    under_way: int = 0
    most: int = 0
    sent: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, _client: AsyncClient) -> Answer:
        self.sent += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        if self.sent > 3:
            self.open.set()
        await self.open.wait()
        self.under_way -= 1
        return Answer("words", 1.0)


async def test_calls_are_counted_by_kind(client: AsyncClient, script: Script) -> None:
    script.always = heard("hello world")
    driver = Driver(client, [(work.recognition(b"audio"), 1.0)], Pace(concurrency=2, calls=6, seconds=60))

    await driver.warm_up()
    report = await driver.run()

    (kind,) = report.kinds
    assert (kind.kind, kind.answered, kind.errors, kind.changed) == ("recognize", 6, {}, 0)
    assert len(script.calls) == 7  # and the first
    assert kind.units_per_second == pytest.approx(6 * 3.5 / report.seconds)
    assert kind.latency.keys() == {"p50", "p90", "p95", "p99", "max"}
    assert (report.answered, report.failed) == (6, 0)


async def test_texts_are_counted_and_go_in_one_request(client: AsyncClient, script: Script) -> None:
    script.always = scored({"a": 0.75, "b": 0.25}, {})
    driver = Driver(
        client, [(work.classification(["one", "two"], ["a", "b"]), 1.0)], Pace(calls=1, seconds=60)
    )

    (kind,) = (await driver.run()).kinds

    assert [one.text for one in script.calls[0].request.inputs] == ["one", "two"]
    assert (kind.kind, kind.unit, kind.units_per_second > 0) == ("classify, 2 texts", "texts", True)


async def test_errors_are_counted_by_status_and_not_tried_again(client: AsyncClient, script: Script) -> None:
    script.then(
        heard("a"), ResourceExhaustedError("full", retry_after=0.01), UnavailableError("gone"), heard("a")
    )
    driver = Driver(client, [(work.recognition(b"audio"), 1.0)], Pace(concurrency=1, calls=4, seconds=60))

    report = await driver.run()

    assert report.kinds[0].errors == {"RESOURCE_EXHAUSTED": 1, "UNAVAILABLE": 1}
    assert (report.answered, report.failed) == (2, 2)


async def test_other_words_than_at_first_are_noticed(client: AsyncClient, script: Script) -> None:
    script.then(heard("same"), heard("same"), heard("other"))
    driver = Driver(client, [(work.recognition(b"audio"), 1.0)], Pace(concurrency=1, calls=2, seconds=60))

    await driver.warm_up()
    report = await driver.run()

    assert (report.answered, report.changed) == (2, 1)


async def test_a_failed_first_call_is_an_error_of_the_caller(client: AsyncClient, script: Script) -> None:
    script.always = InvalidArgumentError("no audio", field="content")

    with pytest.raises(InvalidArgumentError):
        await Driver(client, [(work.recognition(b"audio"), 1.0)], Pace()).warm_up()


@pytest.mark.parametrize(
    ("pace", "most"),
    [
        pytest.param(Pace(concurrency=3, calls=9, seconds=60), 3, id="at a concurrency"),
        pytest.param(Pace(rate=1000.0, calls=4, seconds=60), 4, id="at a rate nobody waits for an answer"),
    ],
)
async def test_how_many_are_under_way(client: AsyncClient, pace: Pace, most: int) -> None:
    gate = Gate()
    if pace.concurrency:
        gate.open.set()

    report = await Driver(client, [(Work("gate", "calls", gate.send), 1.0)], pace).run()

    assert gate.most <= most
    assert report.answered == pace.calls
    assert gate.most == most or pace.concurrency


async def test_at_a_rate_time_counts_from_when_a_call_was_due(client: AsyncClient) -> None:
    # One at a time and ten due at once: the last waits for all the others.
    async def send(_client: AsyncClient) -> Answer:
        await asyncio.sleep(0.02)
        return Answer("words", 1.0)

    pace = Pace(concurrency=1, rate=1e6, calls=10, seconds=60)
    (kind,) = (await Driver(client, [(Work("slow", "calls", send), 1.0)], pace).run()).kinds

    assert kind.latency["max"] > 0.15
    assert kind.latency["p50"] > 0.08


async def test_the_mix_comes_by_its_weights(client: AsyncClient) -> None:
    async def send(_client: AsyncClient) -> Answer:
        return Answer("words", 1.0)

    mix = [(Work("often", "calls", send), 9.0), (Work("seldom", "calls", send), 1.0)]
    report = await Driver(client, mix, Pace(calls=400, seconds=60)).run()

    answered = {kind.kind: kind.answered for kind in report.kinds}
    assert sum(answered.values()) == 400
    assert 340 < answered["often"] < 380


def test_no_pace() -> None:
    with pytest.raises(InvalidArgumentError):
        Pace(rate=-1.0)


def test_percentiles_are_by_the_nearest_rank() -> None:
    found = percentiles([float(value) for value in range(100, 0, -1)])

    assert found == {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
    assert percentiles([]) == {}
    assert percentiles([3.0])["p50"] == 3.0


def test_a_kind_that_only_failed_has_no_percentiles() -> None:
    async def send(_client: AsyncClient) -> Answer:
        raise AssertionError

    tally = Tally()
    tally.failed(Work("gone", "calls", send), "UNAVAILABLE")

    (kind,) = tally.report(2.0).kinds
    assert (kind.answered, kind.latency, kind.mean_queue) == (0, {}, 0.0)
