"""When to try again, by a clock and a chance that the test holds."""

from __future__ import annotations

import itertools

import grpc
import pytest

from earshot.client.retry import Attempts, RetryPolicy
from earshot.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    QuotaExceededError,
    ResourceExhaustedError,
    UnavailableError,
)
from earshot.rpc.status import to_grpc_status

FAILURE = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "gone")


class Clock:
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earshot.client.retry.random.uniform", lambda low, high: high)


def test_bounds_grow_up_to_the_maximum() -> None:
    policy = RetryPolicy(initial=0.1, maximum=0.5, multiplier=2.0)

    assert [policy.bound(attempt) for attempt in (1, 2, 3, 4, 1000)] == [0.1, 0.2, 0.4, 0.5, 0.5]


@pytest.mark.parametrize(
    "numbers",
    [
        {"max_attempts": 0},
        {"initial": -1.0},
        {"initial": 2.0, "maximum": 1.0},
        {"multiplier": 0.5},
        {"maximum": float("inf")},
        {"initial": float("nan")},
        {"patience": -1.0},
    ],
    ids=str,
)
def test_numbers_that_make_no_policy(numbers: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        RetryPolicy(**numbers)  # type: ignore[arg-type]

    assert caught.value.field.startswith("retry")


def test_jitter_is_full() -> None:
    pauses = [Attempts(RetryPolicy(initial=1.0), 60, "id").pause_after(FAILURE) for _ in range(200)]

    assert 0 <= min(pauses) < 0.2
    assert 0.8 < max(pauses) <= 1.0


@pytest.mark.usefixtures("longest_waits")
def test_waits_grow_from_attempt_to_attempt() -> None:
    attempts = Attempts(RetryPolicy(max_attempts=4), 60, "id")

    assert [attempts.pause_after(FAILURE) for _ in range(3)] == [0.1, 0.2, 0.4]
    with pytest.raises(UnavailableError, match="gone"):
        attempts.pause_after(FAILURE)


def _failures_borne(policy: RetryPolicy, *, known: bool) -> int:
    """How often a service may be away, with a second between, before the call is given up."""
    clock = Clock()
    attempts = Attempts(policy, 60, "id", clock, known=known)
    for count in itertools.count():
        try:
            attempts.pause_after(FAILURE)
        except UnavailableError:
            return count
        clock.now += 1
    raise AssertionError


@pytest.mark.parametrize(
    ("attempts", "known", "borne"), [(3, False, 2), (3, True, 10), (12, True, 11), (1, True, 0)]
)
def test_a_service_that_has_answered_before_is_not_given_up_at_once(
    attempts: int, known: bool, borne: int
) -> None:
    policy = RetryPolicy(max_attempts=attempts, patience=10.0)
    assert _failures_borne(policy, known=known) == borne


@pytest.mark.usefixtures("longest_waits")
@pytest.mark.parametrize(("timeout", "fits"), [(1.5, True), (1.0, False), (0.5, False)])
def test_a_wait_must_end_before_the_deadline(timeout: float, fits: bool) -> None:
    attempts = Attempts(RetryPolicy(initial=1.0), timeout, "id", clock=Clock())

    if fits:
        assert attempts.pause_after(FAILURE) == 1.0
    else:
        with pytest.raises(UnavailableError):
            attempts.pause_after(FAILURE)


def test_a_quota_is_not_waited_for_however_soon_it_resets() -> None:
    full = to_grpc_status(ResourceExhaustedError("full", retry_after=0.1))
    over = to_grpc_status(QuotaExceededError("used up", retry_after=0.1))

    assert Attempts(RetryPolicy(), 10, "id").pause_after(_failed(full)) >= 0.1
    with pytest.raises(QuotaExceededError):
        Attempts(RetryPolicy(), 10, "id").pause_after(_failed(over))


def _failed(status: grpc.Status) -> grpc.aio.AioRpcError:
    trailers = grpc.aio.Metadata(*status.trailing_metadata)
    return grpc.aio.AioRpcError(status.code, grpc.aio.Metadata(), trailers, status.details)


def test_time_runs_down_to_an_error() -> None:
    clock = Clock()
    attempts = Attempts(RetryPolicy(), 10.0, "the-id", clock=clock)

    assert attempts.time_left() == 10.0
    clock.now += 9.0
    assert attempts.time_left() == 1.0
    clock.now += 1.0
    with pytest.raises(DeadlineExceededError, match="within 10 s") as caught:
        attempts.time_left()
    assert caught.value.request_id == "the-id"


@pytest.mark.parametrize(("waited", "says"), [(9.9, "no answer within 10 s"), (2.0, "the service's limit")])
def test_our_own_deadline_is_told_in_our_own_words(waited: float, says: str) -> None:
    clock = Clock()
    attempts = Attempts(RetryPolicy(), 10, "id", clock)
    clock.now += waited
    empty = grpc.aio.Metadata()
    late = grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, empty, empty, "the service's limit")

    with pytest.raises(DeadlineExceededError, match=says):
        attempts.pause_after(late)
