"""What is tried again, how often, and within which time."""

from __future__ import annotations

import time

import pytest

from earshot.client import RetryPolicy
from earshot.errors import (
    DeadlineExceededError,
    EarshotError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    QuotaExceededError,
    ResourceExhaustedError,
    UnavailableError,
)
from tests.rpc.client.conftest import Ask
from tests.rpc.client.scripted import Never, Script, heard

FULL = "the queue is full"


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([], id="none"),
        pytest.param([UnavailableError("gone")] * 2, id="unavailable twice"),
        pytest.param([ResourceExhaustedError(FULL, retry_after=0.01)], id="full, come back"),
        pytest.param([UnavailableError("gone"), ResourceExhaustedError(FULL, retry_after=0.01)], id="both"),
    ],
)
def test_what_passes_is_tried_again(ask: Ask, script: Script, failures: list[EarshotError]) -> None:
    script.then(*failures, heard("at last"))

    assert ask("recognize", b"audio").text == "at last"
    assert len(script.calls) == len(failures) + 1


@pytest.mark.parametrize(
    "failure",
    [
        InvalidArgumentError("no such language", field="config.language_code", reason="UNKNOWN_LANGUAGE"),
        ResourceExhaustedError(FULL),
        QuotaExceededError(FULL, subject="calls"),
        QuotaExceededError(FULL, retry_after=0.01, subject="calls"),  # until it resets
        FailedPreconditionError("not loaded"),
        InternalError("a fault"),
        DeadlineExceededError("stopped"),
    ],
    ids=lambda failure: failure.reason,
)
def test_what_lasts_is_not_tried_again(ask: Ask, script: Script, failure: EarshotError) -> None:
    script.then(failure, heard())

    with pytest.raises(type(failure)) as caught:
        ask("recognize", b"audio")

    assert type(caught.value) is type(failure)
    assert (caught.value.message, caught.value.reason, caught.value.field) == (
        failure.message,
        failure.reason,
        failure.field,
    )
    assert len(script.calls) == 1


@pytest.mark.parametrize("attempts", [1, 3])
def test_attempts_end(ask: Ask, script: Script, attempts: int) -> None:
    script.always = UnavailableError("gone")

    with pytest.raises(UnavailableError, match="gone"):
        ask("recognize", b"audio", client={"retry": RetryPolicy(attempts, initial=0, maximum=0)})

    assert len(script.calls) == attempts


def test_a_wait_that_does_not_fit_the_deadline_is_not_waited(ask: Ask, script: Script) -> None:
    script.then(ResourceExhaustedError(FULL, retry_after=3600), heard())

    with pytest.raises(ResourceExhaustedError) as caught:
        ask("recognize", b"audio", timeout=5.0)

    assert caught.value.retry_after == 3600
    assert len(script.calls) == 1


def test_the_service_s_wait_is_waited(ask: Ask, script: Script) -> None:
    script.then(ResourceExhaustedError(FULL, retry_after=0.3), heard())
    start = time.monotonic()

    ask("recognize", b"audio")

    assert time.monotonic() - start >= 0.3


def test_all_attempts_share_one_deadline(ask: Ask, script: Script) -> None:
    script.then(ResourceExhaustedError(FULL, retry_after=0.5), heard())

    ask("recognize", b"audio", timeout=9.0)

    # The wire rounds what is left to a few digits.
    first, second = (call.time_left for call in script.calls)
    assert 0 < second < first - 0.4 < 9.0


def test_a_deadline_that_passes(ask: Ask, script: Script) -> None:
    script.then(Never())

    with pytest.raises(DeadlineExceededError):
        ask("recognize", b"audio", timeout=0.2)


def test_the_client_s_own_deadline_goes_with_every_call(ask: Ask, script: Script) -> None:
    script.always = heard()

    ask("recognize", b"audio", client={"timeout": 7.0})

    assert 0 < script.calls[0].time_left < 7.5  # the wire rounds it


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("inf"), float("nan")])
def test_a_timeout_that_is_none(ask: Ask, script: Script, timeout: float) -> None:
    with pytest.raises(InvalidArgumentError, match="timeout"):
        ask("recognize", b"audio", timeout=timeout)

    assert not script.calls


def test_one_request_id_over_all_attempts_and_on_the_error(ask: Ask, script: Script) -> None:
    script.always = UnavailableError("gone")

    with pytest.raises(UnavailableError) as caught:
        ask("recognize", b"audio")

    ids = {call.metadata["x-request-id"] for call in script.calls}
    assert len(script.calls) == 5
    assert ids == {caught.value.request_id}
    assert any(caught.value.request_id in note for note in caught.value.__notes__)


def test_the_failed_call_is_the_error_s_cause(ask: Ask, script: Script) -> None:
    script.then(InternalError("a fault"))

    with pytest.raises(InternalError) as caught:
        ask("recognize", b"audio")

    assert "INTERNAL" in repr(caught.value.__cause__)


def test_nobody_there(ask: Ask) -> None:
    with pytest.raises(UnavailableError, match="Connection refused"):
        ask("list_models", client={"target": "127.0.0.1:1"})
