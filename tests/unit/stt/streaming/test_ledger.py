"""Which chunks are kept account of, and where somebody may start again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot import errors
from earshot.audio.formats import AudioFormat, Encoding
from earshot.stt.streaming.ledger import Ledger, Mark

RAW = AudioFormat(Encoding.LINEAR16, 16_000, 1)
TELEPHONE = AudioFormat(Encoding.MULAW, 8_000, 1)
STUDIO = AudioFormat(Encoding.LINEAR16, 48_000, 2)
DISC = AudioFormat(Encoding.LINEAR16, 44_100, 1)
FILE = AudioFormat()
START = Mark()


def _ledger(audio_format: AudioFormat, size: int, count: int, mark: Mark = START) -> Ledger:
    """One that ``count`` chunks of ``size`` bytes have come to, each its own."""
    ledger = Ledger(audio_format, mark)
    for number in range(mark.number, mark.number + count):
        ledger.take(number, _chunk(number, size))
    return ledger


def _chunk(number: int, size: int) -> bytes:
    return bytes([number % 256]) * size


def test_without_audio_one_starts_at_the_start() -> None:
    assert Ledger(RAW, START).mark(0) == START
    assert Ledger(FILE, START).mark(0) == START
    assert Ledger(RAW, START).acked == 0


def test_the_mark_is_in_the_chunk_that_holds_the_sample() -> None:
    ledger = _ledger(RAW, 3200, 10)  # 100 ms each
    mark = ledger.mark(16_000 // 4)
    assert (mark.number, mark.chunk_start, mark.byte, mark.sample) == (3, 6400, 8000, 4000)
    assert ledger.acked == 10


def test_at_a_border_the_next_chunk_is_enough() -> None:
    assert _ledger(RAW, 3200, 10).mark(3200).number == 3


def test_at_the_end_it_is_the_chunk_to_come() -> None:
    assert _ledger(RAW, 3200, 10).mark(16_000) == Mark(11, 32_000, 32_000, 16_000)


@pytest.mark.parametrize(("audio_format", "second"), [(TELEPHONE, 8000), (STUDIO, 192_000), (DISC, 88_200)])
def test_other_rates_start_a_little_before(audio_format: AudioFormat, second: int) -> None:
    """A resampler needs some samples to be as if it had heard all."""
    ledger = _ledger(audio_format, second // 10, 30)
    mark = ledger.mark(32_000)
    assert mark.sample == 32_000 - 1280
    assert mark.byte == second * 192 // 100  # 1.92 s, to the byte
    assert (mark.number, mark.chunk_start) == (20, second // 10 * 19)


def test_near_the_start_it_is_the_start() -> None:
    assert _ledger(TELEPHONE, 800, 3).mark(640).byte == 0


def test_who_starts_again_hears_from_the_marks_byte() -> None:
    mark = _ledger(RAW, 3200, 10).mark(4000)
    again = Ledger(RAW, mark)
    assert again.acked == 2
    assert again.take(3, _chunk(3, 3200)) == _chunk(3, 1600)
    assert again.take(4, _chunk(4, 3200)) == _chunk(4, 3200)


@given(st.lists(st.integers(0, 900), min_size=1, max_size=30), st.data())
def test_all_that_is_needed_comes_again_and_nothing_else(sizes: list[int], data: st.DataObject) -> None:
    audio = bytes(range(256)) * (sum(sizes) // 256 + 1)
    chunks, at = [], 0
    for size in sizes:
        chunks.append(audio[at : at + size])
        at += size
    ledger = Ledger(RAW, START)
    for number, content in enumerate(chunks, 1):
        assert ledger.take(number, content) == content
    origin = data.draw(st.integers(0, at // 2))
    mark = ledger.mark(origin)
    again = Ledger(RAW, mark)
    heard = b"".join(again.take(number, chunks[number - 1]) for number in range(mark.number, len(chunks) + 1))
    assert heard == audio[origin * 2 : at]
    assert again.mark(origin) == mark


@pytest.mark.parametrize("number", [0, 1, 3, -1])
def test_a_gap_is_named(number: int) -> None:
    ledger = _ledger(RAW, 3200, 1)
    with pytest.raises(errors.InvalidArgumentError) as caught:
        ledger.take(number, b"")
    assert (caught.value.reason, caught.value.field) == ("SEQUENCE_GAP", "audio.sequence_number")


@pytest.mark.parametrize("audio_format", [RAW, FILE])
def test_other_audio_is_refused(audio_format: AudioFormat) -> None:
    ledger = _ledger(audio_format, 3200, 10)
    again = Ledger(audio_format, ledger.mark(4000))
    with pytest.raises(errors.InvalidArgumentError) as caught:
        again.take(again.acked + 1, b"other" * 640)
    assert caught.value.reason == "RESUME_TOKEN_OTHER_AUDIO"
    assert caught.value.field == "streaming_config.resume_token"


def test_a_chunk_that_only_keeps_alive_has_a_number_and_no_digest() -> None:
    ledger = Ledger(RAW, START)
    ledger.take(1, b"")
    ledger.take(2, b"ab" * 1600)
    ledger.take(3, b"")
    assert ledger.mark(0).number == 2
    assert ledger.mark(1600) == Mark(4, 3200, 3200, 1600)
    again = Ledger(RAW, ledger.mark(800))
    assert again.take(2, b"ab" * 1600) == b"ab" * 800


def test_a_file_starts_at_its_first_chunk() -> None:
    ledger = _ledger(FILE, 1000, 5)
    mark = ledger.mark(400_000)
    assert (mark.number, mark.byte, mark.sample) == (1, 0, 0)
    again = Ledger(FILE, mark)
    assert again.take(1, _chunk(1, 1000)) == _chunk(1, 1000)
    assert again.mark(800_000) == mark


def test_a_file_of_which_nothing_came_again_keeps_its_mark() -> None:
    mark = _ledger(FILE, 1000, 5).mark(400_000)
    assert Ledger(FILE, mark).mark(400_000) == mark


def test_raw_samples_made_anew_start_at_the_origin() -> None:
    """Nothing of their first chunk has been heard, whatever it is."""
    origin = 640 * 50  # 2 s
    mark = _ledger(STUDIO, 19_200, 30).mark(origin).encoded_anew(STUDIO, origin)
    ledger = Ledger(STUDIO, mark)
    assert mark.sample == origin
    assert ledger.take(mark.number, b"x" * 19_200) == b"x" * 19_200
    after = ledger.mark(origin + 1280 + 640)  # 40 ms of them are not needed any more
    assert (after.number, after.byte - after.chunk_start) == (mark.number, 192_000 * 40 // 1000)


def test_a_file_made_anew_keeps_where_it_begins() -> None:
    mark = _ledger(FILE, 1000, 5).mark(32_000).encoded_anew(FILE, 32_000)
    ledger = Ledger(FILE, mark)
    ledger.take(1, b"another file")
    later = ledger.mark(64_000)
    assert (later.number, later.sample) == (1, 32_000)
    with pytest.raises(errors.InvalidArgumentError):
        Ledger(FILE, later).take(1, _chunk(1, 1000))


def test_specks_are_refused_before_they_fill_the_memory() -> None:
    ledger = _ledger(RAW, 2, 10_000)
    with pytest.raises(errors.InvalidArgumentError) as caught:
        ledger.take(10_001, b"ab")
    assert (caught.value.reason, caught.value.field) == ("CHUNKS_TOO_SMALL", "audio.content")


def test_what_is_final_is_forgotten() -> None:
    ledger = Ledger(RAW, START)
    for number in range(1, 30_000):
        ledger.take(number, b"ab" * 16)
        if number % 1000 == 0:
            ledger.mark(number * 16)
    assert ledger.acked == 29_999
