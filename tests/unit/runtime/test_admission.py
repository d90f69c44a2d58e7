"""Who may come in, and when the others should come back."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from earshot import errors
from earshot.runtime.admission import Admission, AdmissionLimits
from earshot.runtime.metrics import Metrics


def _made(at_work: int = 1, waiting: int = 1, max_bytes: int = 100) -> tuple[Admission, Metrics]:
    metrics = Metrics("stt")
    return Admission(AdmissionLimits(at_work, waiting, max_bytes), metrics), metrics


def _rejected(metrics: Metrics, reason: str) -> float | None:
    return metrics.registry.get_sample_value("earshot_rejected_total", {"component": "stt", "reason": reason})


def test_it_is_full_after_those_at_work_and_those_waiting() -> None:
    admission, metrics = _made(at_work=2, waiting=1)
    with ExitStack() as inside:
        for _ in range(3):
            inside.enter_context(admission.permit(1))
        assert metrics.registry.get_sample_value("earshot_admitted_requests", {"component": "stt"}) == 3
        with pytest.raises(errors.ResourceExhaustedError), admission.permit(1):
            pass
    assert _rejected(metrics, "queue_full") == 1
    with admission.permit(1):
        assert metrics.registry.get_sample_value("earshot_admitted_requests", {"component": "stt"}) == 1


def test_memory_is_bounded_too_but_one_request_always_fits() -> None:
    admission, metrics = _made(waiting=9, max_bytes=100)
    with admission.permit(500), pytest.raises(errors.ResourceExhaustedError), admission.permit(1):
        pass
    assert _rejected(metrics, "memory_full") == 1
    with admission.permit(60), admission.permit(40):
        pass


def test_a_place_is_given_back_when_its_request_fails() -> None:
    admission, _ = _made(waiting=0)
    with pytest.raises(ValueError), admission.permit(1):
        raise ValueError
    with admission.permit(1):
        pass


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 0.1), (2.0, 1.0), (1000.0, 10.0)])
def test_when_to_come_back_follows_the_time_of_work(seconds: float, expected: float) -> None:
    admission, _ = _made(at_work=2, waiting=0)
    for _ in range(100):
        admission.observe(seconds)
    with admission.permit(1), admission.permit(1), pytest.raises(errors.ResourceExhaustedError) as caught:
        admission.permit(1).__enter__()
    assert caught.value.retry_after == pytest.approx(expected, rel=0.01)


def test_a_stream_takes_its_share_of_a_place() -> None:
    admission, metrics = _made(at_work=1, waiting=0)
    with ExitStack() as inside:
        for _ in range(10):
            inside.enter_context(admission.permit(0, 0.1))
        assert metrics.registry.get_sample_value("earshot_admitted_requests", {"component": "stt"}) == 1
        with pytest.raises(errors.ResourceExhaustedError), admission.permit(0, 0.1):
            pass
        with pytest.raises(errors.ResourceExhaustedError), admission.permit(1):
            pass
    assert metrics.registry.get_sample_value("earshot_admitted_requests", {"component": "stt"}) == 0
    with admission.permit(1):
        pass


def test_calls_and_streams_count_together() -> None:
    admission, _ = _made(at_work=2, waiting=0)
    with ExitStack() as inside:
        for share in (1, 0.25, 0.75):
            inside.enter_context(admission.permit(0, share))
        with pytest.raises(errors.ResourceExhaustedError), admission.permit(0, 0.25):
            pass


def test_shares_come_back_to_nothing() -> None:
    """Sums of tenths do not: a place would be lost after some thousands of streams."""
    admission, metrics = _made(at_work=1, waiting=0)
    for share in (0.1, 0.3, 0.7, 0.15) * 1000:
        with admission.permit(0, share):
            pass
    assert metrics.registry.get_sample_value("earshot_admitted_requests", {"component": "stt"}) == 0
    with ExitStack() as inside:
        for _ in range(3):
            inside.enter_context(admission.permit(0, 1 / 3))
