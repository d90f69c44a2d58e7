"""How much goes through a model at once. Plain Python: it sees lengths, never a tensor.

Padding is work thrown away, and memory grows with the longest of a batch: sorted by length, and
bounded by padded tokens in place of a count, batches lose little of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from earshot.errors import CancelledError


def by_length(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions in ``lengths``, the longest first, in batches of at most ``budget`` padded tokens.

    One that is longer than the budget is a batch by itself.
    """
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    start = 0
    while start < len(order):
        count = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + count]
        start += count


def rounds(costs: Sequence[int], budget: int) -> Iterator[slice]:
    """Runs of neighbours whose costs add up to at most ``budget``: what is in memory at once.

    One that costs more than the budget is a round by itself.
    """
    start, total = 0, 0
    for position, cost in enumerate(costs):
        if position > start and total + cost > budget:
            yield slice(start, position)
            start, total = position, 0
        total += cost
    if start < len(costs):
        yield slice(start, len(costs))


def stop_if(cancelled: Callable[[], bool]) -> None:
    """Raises :class:`earshot.errors.CancelledError` when nobody waits any more."""
    if cancelled():
        raise CancelledError("the caller has gone; the work has stopped")
