"""The state of a stream, fed by hand: what is sent again, what is given, when it gives up."""

from __future__ import annotations

import pytest

from earshot import errors
from earshot.client import Final, Labels, Reconnecting, Resumed, RetryPolicy
from earshot.client.streaming.backlog import Backlog, Chunks, Commit
from earshot.client.streaming.session import READ_AHEAD, Session
from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.rpc.wire import duration

GONE = errors.UnavailableError("gone")


def _session(backlog: Backlog | None = None, limit: int = 1_000, attempts: int = 3) -> Session:
    policy = RetryPolicy(max_attempts=attempts, initial=1.0, maximum=8.0)
    return Session(
        backlog or Chunks(),
        policy,
        give_up_after=60,
        limit=limit,
        jitter=lambda _low, high: high,
    )


def _message(
    token: str = "", offset: float = 0.0, number: int = 1, finals: tuple[tuple[str, float, float], ...] = ()
) -> speech_pb2.StreamingRecognizeResponse:
    message = speech_pb2.StreamingRecognizeResponse()
    message.acknowledgement.resume_token = token
    message.acknowledgement.committed_offset.CopyFrom(duration(offset))
    message.acknowledgement.committed_sequence_number = number
    for text, start, end in finals:
        result = message.results.add(is_final=True)
        result.result_start_offset.CopyFrom(duration(start))
        result.result_end_offset.CopyFrom(duration(end))
        result.alternatives.add(transcript=text)
    return message


def _sent(session: Session) -> list[tuple[int, bytes]]:
    found = []
    while (chunk := session.next()) is not None:
        found.append((chunk.number, chunk.content))
    return found


def test_what_is_not_committed_is_sent_again() -> None:
    session = _session()
    session.connect(0.0)
    for piece in (b"a", b"b", b"c"):
        session.add(piece)
    assert _sent(session) == [(1, b"a"), (2, b"b"), (3, b"c")]
    session.received(_message("t1", 1.0, 3), 1.0)
    session.add(b"d")
    session.broken(GONE, 2.0)

    assert session.connect(3.0) == Commit(1.0, 3, "t1")
    assert _sent(session) == [(3, b"c"), (4, b"d")]


def test_without_a_token_the_last_one_holds_and_so_does_what_it_covers() -> None:
    session = _session()
    session.connect(0.0)
    for piece in (b"a", b"b", b"c"):
        session.add(piece)
    _sent(session)
    session.received(_message("t1", 1.0, 2), 1.0)

    session.received(_message("", 2.0, 3), 2.0)

    assert session.committed == Commit(1.0, 2, "t1")
    assert session.connect(3.0).sequence_number == 2
    assert _sent(session) == [(2, b"b"), (3, b"c")]


def test_resumed_is_told_once_and_only_when_the_service_answers() -> None:
    session = _session()
    session.connect(0.0)
    session.received(_message("t1", 1.5), 0.0)
    session.broken(GONE, 1.0)
    session.connect(1.0)
    session.broken(GONE, 2.0)
    session.connect(3.0)

    assert session.received(_message("t1", 1.5), 4.0) == [Resumed(1.5)]
    assert session.received(_message(), 4.0) == []


def test_no_resumption_is_told_of_a_stream_that_had_not_begun() -> None:
    session = _session()
    session.connect(0.0)
    session.broken(GONE, 1.0)
    session.connect(1.0)

    assert session.received(_message("t1"), 2.0) == []


def test_finals_before_the_committed_offset_have_been_given() -> None:
    session = _session()
    session.connect(0.0)
    session.received(_message("t1", 2.0, finals=(("one", 0.0, 2.0),)), 0.0)

    again = session.received(
        _message("t2", 4.0, finals=(("one", 0.0, 2.0), ("two", 1.9, 3.0), ("three", 3.0, 4.0))), 1.0
    )

    assert [event.text for event in again if isinstance(event, Final)] == ["two", "three"]
    assert session.result.text == "one two three"


def test_waits_grow_and_progress_ends_them() -> None:
    session = _session(attempts=100)
    session.connect(0.0)
    session.received(_message("t1"), 0.0)

    pauses = [session.broken(GONE, now).pause for now in range(5)]
    session.received(_message("t2", 1.0), 6.0)

    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert session.broken(GONE, 7.0) == Reconnecting(1, GONE, 1.0)


def test_the_service_s_own_wait_is_waited_in_full() -> None:
    session = _session()

    assert session.broken(errors.ResourceExhaustedError("full", retry_after=3.0), 0.0).pause == 4.0


def test_a_quota_is_waited_for_until_it_resets_if_that_is_soon() -> None:
    session = _session()
    session.connect(0.0)
    session.received(_message("t1", 1.0), 0.0)

    assert session.broken(errors.QuotaExceededError("used up", retry_after=30.0), 0.0).pause == 31.0
    for wait in (0.0, 86_400.0):  # never, and too late
        with pytest.raises(errors.QuotaExceededError):
            session.broken(errors.QuotaExceededError("used up", retry_after=wait), 0.0)


def test_go_away_is_followed_at_once_but_not_in_a_circle() -> None:
    session = _session()
    session.connect(0.0)
    message = _message("t1")
    message.go_away.time_left.CopyFrom(duration(5))
    session.received(message, 0.0)
    assert session.leaving

    assert session.broken(session.asked_to_leave(), 0.0).pause == 0.0
    session.connect(0.0)
    assert not session.leaving
    assert session.broken(session.asked_to_leave(), 0.0).pause == 2.0


def test_trouble_is_given_up_after_its_time() -> None:
    session = _session(attempts=1)
    session.connect(0.0)
    session.received(_message("t1", 1.0), 0.0)
    session.broken(GONE, 100.0)
    session.connect(101.0)
    session.broken(GONE, 150.0)
    session.connect(152.0)

    with pytest.raises(errors.UnavailableError, match="gone"):
        session.broken(GONE, 157.0)  # and 4 s to wait


def test_a_connection_that_held_ends_the_trouble() -> None:
    session = _session()
    session.connect(0.0)
    session.received(_message("t1", 1.0), 0.0)
    session.broken(GONE, 100.0)
    session.connect(101.0)  # nobody speaks: it holds for an hour, and commits nothing
    session.received(_message("t1", 1.0), 101.0)
    session.received(_message(), 3_700.0)

    assert session.broken(GONE, 3_701.0) == Reconnecting(1, GONE, 1.0)


def test_a_connection_without_a_word_does_not() -> None:
    session = _session()
    session.connect(0.0)
    session.received(_message("t1", 1.0), 0.0)
    session.broken(GONE, 100.0)
    session.connect(101.0)

    with pytest.raises(errors.UnavailableError):
        session.broken(GONE, 221.0)


def test_before_the_first_answer_attempts_count() -> None:
    session = _session(attempts=2)
    session.connect(0.0)
    session.broken(GONE, 0.0)

    with pytest.raises(errors.UnavailableError):
        session.broken(GONE, 1.0)


def test_room() -> None:
    session = _session(limit=10)
    session.connect(0.0)
    session.add(bytes(9))
    assert session.has_room(waits=True)
    session.add(bytes(1))

    assert session.is_full
    assert not session.has_room(waits=False)
    assert session.patience_left(full_since=5.0, now=25.0) == 40.0
    _sent(session)
    session.received(_message("t1", 1.0, 2), 30.0)
    assert session.has_room(waits=False)
    assert session.patience_left(full_since=5.0, now=35.0) == 55.0


def test_a_source_that_can_wait_is_not_read_far_ahead() -> None:
    session = _session(limit=100 * READ_AHEAD)
    session.connect(0.0)
    session.add(bytes(READ_AHEAD))

    assert not session.has_room(waits=True)
    assert session.has_room(waits=False)
    _sent(session)
    assert session.has_room(waits=True)


def test_no_patience_where_no_commit_can_make_room() -> None:
    session = _session(Chunks(frees=False), limit=10)
    session.add(bytes(10))

    assert session.patience_left(full_since=0.0, now=0.0) == 0.0
    assert "codec='flac'" in session.full().message
    assert session.full().held == 10


def test_scores() -> None:
    session = _session()
    session.connect(0.0)
    message = classification_pb2.StreamingClassifySpeechResponse()
    message.results.add(stability=0.9).alternatives.add(transcript="so far")
    message.segment_classification.labels.add(label="a", score=0.75)

    _, labels = session.received(message, 0.0)

    assert isinstance(labels, Labels)
    assert (labels.is_final, labels.conversation) == (False, None)
    assert session.result.conversation is None


def test_the_end() -> None:
    session = _session()
    session.connect(0.0)
    message = _message("t1", 1.0)
    message.summary.finals_sent, message.summary.complete = 3, True
    message.summary.audio_received.CopyFrom(duration(2.5))

    assert not session.done
    session.received(message, 0.0)

    assert session.done
    summary = session.result.summary
    assert summary
    assert (summary.finals, summary.complete, summary.audio_received) == (3, True, 2.5)
