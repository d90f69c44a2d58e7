"""Whether other replicas are full is learned from what they send here."""

from __future__ import annotations

import random

import pytest

from earshot.runtime.elsewhere import Elsewhere


class Clock:
    """Goes where it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def tries_of(replicas: list[Elsewhere], full: set[int], rate: float, clock: Clock) -> list[tuple[int, bool]]:
    """How often each of many calls is tried, and whether it is taken; the proxy asks no replica twice."""
    dice, seen = random.Random(1), []
    for _ in range(1000):
        clock.now += 1 / rate
        order = dice.sample(range(len(replicas)), len(replicas))
        for attempt, at in enumerate(order, 1):
            if at not in full:
                seen.append((attempt, True))
                break
            if replicas[at].is_full(attempt):
                seen.append((attempt, False))
                break
    return seen


def test_where_all_are_full_calls_are_hardly_sent_on(clock: Clock) -> None:
    replicas = [Elsewhere(clock) for _ in range(3)]
    later = tries_of(replicas, {0, 1, 2}, 100, clock)[200:]
    assert not any(taken for _, taken in later)
    assert 1.1 < sum(tries for tries, _ in later) / len(later) < 1.6


@pytest.mark.parametrize(("count", "full"), [(2, {0}), (3, {0}), (3, {0, 1}), (10, {0, 1})])
def test_where_one_has_room_every_call_finds_it(count: int, full: set[int], clock: Clock) -> None:
    replicas = [Elsewhere(clock) for _ in range(count)]
    seen = tries_of(replicas, full, 100, clock)
    assert sum(taken for _, taken in seen) / len(seen) > 0.995


def test_when_there_is_room_again_it_is_found_out(clock: Clock) -> None:
    replicas = [Elsewhere(clock) for _ in range(2)]
    tries_of(replicas, {0, 1}, 100, clock)
    later = tries_of(replicas, {0}, 100, clock)[500:]  # some seconds
    assert all(taken for _, taken in later)


def test_few_refusals_say_nothing(clock: Clock) -> None:
    replica = Elsewhere(clock)
    for _ in range(20):
        clock.now += 2
        assert not replica.is_full(1)
        assert not replica.is_full(2)


def test_three_tries_are_enough_in_any_case(clock: Clock) -> None:
    assert [Elsewhere(clock).is_full(attempt) for attempt in (1, 2, 3, 4)] == [False, False, True, True]
