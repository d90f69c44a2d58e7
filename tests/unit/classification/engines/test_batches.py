"""How work is cut up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot import errors
from earshot.classification.engines.batches import by_length, rounds, stop_if

lengths = st.lists(st.integers(0, 300), max_size=60)
budgets = st.integers(1, 1000)


@given(lengths, budgets)
def test_batches_hold_everything_once(lengths: list[int], budget: int) -> None:
    seen = [position for batch in by_length(lengths, budget) for position in batch]
    assert sorted(seen) == list(range(len(lengths)))


@given(lengths, budgets)
def test_batches_are_within_the_budget_or_single(lengths: list[int], budget: int) -> None:
    for batch in by_length(lengths, budget):
        assert len(batch) == 1 or len(batch) * max(lengths[position] for position in batch) <= budget


@given(lengths, budgets)
def test_neighbours_in_a_batch_are_alike(lengths: list[int], budget: int) -> None:
    order = [lengths[position] for batch in by_length(lengths, budget) for position in batch]
    assert order == sorted(lengths, reverse=True)


def test_a_batch_is_as_full_as_it_may_be() -> None:
    assert list(by_length([5, 10, 5, 5, 5], 20)) == [[1, 0], [2, 3, 4]]


@given(lengths, budgets)
def test_rounds_hold_everything_in_order(costs: list[int], budget: int) -> None:
    parts = [costs[part] for part in rounds(costs, budget)]
    assert [cost for part in parts for cost in part] == costs
    assert all(len(part) == 1 or sum(part) <= budget for part in parts)


def test_rounds_are_as_long_as_they_may_be() -> None:
    assert list(rounds([3, 3, 3, 3], 6)) == [slice(0, 2), slice(2, 4)]
    assert list(rounds([1, 2, 3, 9, 1], 6)) == [slice(0, 3), slice(3, 4), slice(4, 5)]


def test_work_stops_only_when_nobody_waits() -> None:
    stop_if(lambda: False)
    with pytest.raises(errors.CancelledError):
        stop_if(lambda: True)
