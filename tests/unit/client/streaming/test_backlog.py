"""What is kept, dropped and sent again, in each of the three ways that audio goes out."""

from __future__ import annotations

import pytest

from earshot.client.streaming.backlog import STEP, Backlog, Chunks, Commit, Rewound, Samples


class Encoder:
    """Its file: a header, the samples as they are, two calls late, and an end."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self._late = [b"", b"<"]

    def encode(self, samples: bytes) -> bytes:
        assert len(samples) % 2 == 0
        self._late.append(samples)
        return self._late.pop(0)

    def finish(self) -> bytes:
        return b"".join(self._late) + b">"


def _sent(backlog: Backlog) -> tuple[list[int], bytes]:
    numbers, content = [], b""
    while (chunk := backlog.next()) is not None:
        numbers.append(chunk.number)
        content += chunk.content
    return numbers, content


def _samples(count: int) -> bytes:
    return b"".join(number.to_bytes(2, "little") for number in range(count))


def test_chunks_are_kept_until_they_are_committed() -> None:
    backlog = Chunks()
    for piece in (b"aa", b"bb", b"", b"cc"):
        backlog.add(piece)
    assert (backlog.held, backlog.unsent) == (6, 6)
    assert _sent(backlog) == ([1, 2, 3, 4], b"aabbcc")
    assert (backlog.held, backlog.unsent) == (6, 0)

    backlog.commit(Commit(1.0, 3, "t"))
    backlog.restart(Commit(1.0, 3, "t"))

    assert (backlog.held, backlog.unsent) == (2, 2)
    assert _sent(backlog) == ([3, 4], b"cc")


def test_a_commit_of_what_was_not_sent_drops_nothing() -> None:
    backlog = Chunks()
    backlog.add(b"aa")
    backlog.add(b"bb")
    assert backlog.next()

    backlog.commit(Commit(1.0, 9, "t"))

    assert _sent(backlog) == ([2], b"bb")


def test_a_source_that_rewinds_is_not_kept() -> None:
    backlog = Rewound()
    backlog.add(b"aa")
    backlog.add(b"bb")
    assert _sent(backlog) == ([1, 2], b"aabb")
    assert (backlog.held, backlog.unsent) == (0, 0)
    backlog.add(b"cc")

    backlog.restart(Commit(1.0, 1, "t"))
    backlog.add(b"aa")

    assert _sent(backlog) == ([1], b"aa")


def test_samples_are_encoded_and_the_file_is_ended() -> None:
    backlog = Samples(Encoder)
    samples = _samples(5 * STEP)
    backlog.add(samples[:30])
    assert _sent(backlog) == ([], b"")
    backlog.add(samples[30:])
    backlog.finish()

    numbers, content = _sent(backlog)

    assert content == b"<" + samples + b">"
    assert numbers == list(range(1, len(numbers) + 1))
    assert (backlog.held, backlog.unsent) == (len(samples), 0)
    assert backlog.next() is None


@pytest.mark.parametrize("size", [1, 3, 601, STEP + 1])
def test_pieces_may_be_cut_within_a_sample(size: int) -> None:
    """Also where the encoder has had all that came before each of them."""
    backlog, samples, content = Samples(Encoder), _samples(2 * STEP), b""
    for at in range(0, len(samples), size):
        backlog.add(samples[at : at + size])
        content += _sent(backlog)[1]
    backlog.finish()
    assert content + _sent(backlog)[1] == b"<" + samples + b">"


@pytest.mark.parametrize("finished", [True, False])
def test_a_new_file_begins_with_the_committed_sample(finished: bool) -> None:
    backlog = Samples(Encoder)
    samples = _samples(20_000)
    backlog.add(samples)
    if finished:
        backlog.finish()
    _sent(backlog)
    made = Encoder.made

    backlog.commit(Commit(1.0, 1, "t"))  # 16,000 samples
    assert backlog.held == 8_000
    backlog.restart(Commit(1.0, 1, "t"))
    backlog.finish()

    assert Encoder.made == made + 1
    assert _sent(backlog)[1] == b"<" + samples[32_000:] + b">"


def test_a_sign_of_life_has_a_number_and_no_samples() -> None:
    backlog = Samples(Encoder)
    backlog.add(b"")

    assert _sent(backlog) == ([1], b"")


def test_a_commit_of_samples_that_were_not_sent_drops_nothing() -> None:
    backlog = Samples(Encoder)
    backlog.add(_samples(10))

    backlog.commit(Commit(5.0, 1, "t"))

    assert (backlog.held, backlog.unsent) == (20, 20)
