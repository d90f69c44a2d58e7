"""What is offered beyond what can be done: how much came, what was refused, and when there was room again."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace

import pytest

from earshot import errors
from tests.drills.cases import overload
from tests.drills.crowd import _most
from tests.drills.drill import Result
from tests.drills.flood import Flood, Refusals, flood
from tests.drills.health import Looks

FULL = errors.ResourceExhaustedError("the replica is full", retry_after=0.1)


async def test_a_flood_has_ended_when_the_last_has_begun_whatever_is_under_way() -> None:
    answer, begun = asyncio.Event(), 0

    async def begin(_: int) -> None:
        nonlocal begun
        begun += 1
        await answer.wait()

    async def arrived() -> float:
        await asyncio.sleep(0)  # as one that is asked of another process
        return 1000.0 + begun

    came = await flood(arrived, rate=1000.0, seconds=0.01, begin=begin)

    assert len(came.calls) == 10
    assert not any(call.done() for call in came.calls)
    assert 0 < await came.share <= 10 / 9  # ten in nine thousandths of a second; in more where it lags
    answer.set()
    await asyncio.gather(*came.calls)


@pytest.mark.parametrize(("share", "holds"), [(1.0, True), (0.9, True), (0.89, False), (0.0, False)])
async def test_what_was_not_offered_is_no_flood(share: float, holds: bool) -> None:
    async def found() -> float:
        return share

    result = Result()
    await Flood([], 0.0, 1.0, asyncio.create_task(found())).judge(result, "call")

    assert (not result.broken) is holds
    assert result.counts == {"of the calls meant to come": share}


def _judged(*errors_seen: tuple[errors.EarshotError, float], times: bool = True) -> Result:
    result, refusals = Result(), Refusals()
    for error, seconds in errors_seen:
        refusals.note(error, seconds)
    refusals.judge(result, "call", times=times)
    return result


def test_refusals_are_counted_and_the_longest_is_told() -> None:
    result = _judged(*[(FULL, 0.01)] * 199, (FULL, 0.3))

    assert result.broken == []  # one of 200 is beyond the p99
    assert result.counts == {
        "calls refused": 200,
        "calls failed otherwise": 0,
        "ms p50 of a refused call": 10.0,
        "ms p99 of a refused call": 10.0,
        "ms of the longest refusal of a call": 300.0,
    }


def test_refusals_must_be_soon_where_times_are_judged() -> None:
    assert _judged(*[(FULL, 0.1)] * 9).broken == ["calls were refused after 100 ms (p99)"]
    assert _judged(*[(FULL, 0.1)] * 9, times=False).broken == []


def test_who_is_refused_must_be_told_when_to_come_back() -> None:
    result = _judged((FULL, 0.01), (errors.ResourceExhaustedError("the replica is full"), 0.01))

    assert result.broken == ["1 calls were refused without RetryInfo"]


def test_what_fails_otherwise_is_told() -> None:
    result = _judged((FULL, 0.01), (errors.UnavailableError("gone"), 0.01))

    assert result.broken == ["calls failed otherwise (UnavailableError: gone)"]


def test_where_nothing_is_refused_there_was_no_overload() -> None:
    assert _judged().broken == ["no call was refused: that was no overload"]


async def test_calls_are_taken_again_from_the_first_of_some_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single one is let in at the worst of times too."""
    seconds, paused = itertools.count(), 0
    outcomes = iter([False, True, False, False, True, True, True, True])

    async def one() -> bool:
        return next(outcomes)

    async def pause(_: float) -> None:
        nonlocal paused
        paused += 1

    monkeypatch.setattr(overload, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    monkeypatch.setattr(overload, "asyncio", SimpleNamespace(sleep=pause))

    assert await overload._recovery(one, -2.0) == 4.0 + 2.0  # the fifth: the clock is read when one is asked
    assert paused == 3
    assert next(outcomes, None) is None


def test_streams_at_once_are_those_whose_times_meet() -> None:
    assert _most([]) == 0
    assert _most([(0.0, 1.0), (1.0, 2.0)]) == 1
    assert _most([(0.0, 3.0), (1.0, 2.0), (1.5, 4.0), (2.5, 5.0)]) == 3


def test_health_must_have_been_looked_at() -> None:
    result = Result()
    Looks().judge(result)

    assert result.broken == ["nobody looked at the replicas' health"]


def test_health_that_was_lost_is_told() -> None:
    result = Result()
    Looks(9, ["stt-1 said NOT_SERVING", "stt-1 said NOT_SERVING"]).judge(result)

    assert result.broken == ["health was lost at 2 looks (stt-1 said NOT_SERVING)"]
    assert result.counts == {"looks at a replica's health": 9, "at which it was lost": 2}
