"""Audio as it comes, from packets cut anywhere, to 16-bit mono samples at 16 kHz.

Raw samples and plain WAV files go through NumPy, all else through ffmpeg's libraries. What comes out
depends on the bytes alone and not on where they were cut: only of a damaged WebM may more or less be
heard, and of two mistakes at once another told. Nothing grows with the length of the stream, but for
fragmented MP4, of which libav keeps an index (about 5 MB an hour).

How far the samples stay behind the bytes: raw and WAV by the resampler's filter (4 ms at 8 kHz, nothing
at 16), Opus by the packet and page that are not whole yet, ADTS by a frame, MP3 by 1 KB (0.33 s at
24 kbit/s, 0.15 s at 64), FLAC by ten frames, which libav's parser wants to see (0.7 s at 1152 samples).

Beside the errors of a recording sent whole there are AUDIO_NOT_STREAMABLE (an MP4 whose index comes last)
and AUDIO_FORMAT_CHANGED (another format in mid-stream). That a header counts more than came is no error:
who speaks may stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from earshot.audio.checks import bad_content, check_raw_size, check_raw_start, check_sound
from earshot.audio.decoding import Samples
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import Allowance, LiveLimits
from earshot.audio.live_chain import Chain
from earshot.audio.live_container import ContainerDecoder
from earshot.audio.live_samples import NOTHING, RAW_KINDS, SampleDecoder, joined
from earshot.audio.live_stage import Stage
from earshot.audio.live_starts import HEAD, MAGIC, demuxer_of, tag_size
from earshot.audio.live_wav import WavDecoder
from earshot.errors import InvalidArgumentError

FIELD: Final = "audio.content"


class LiveDecoder:
    """Decodes one stream. One thread calls it; ``close`` it in the end, whatever happened."""

    def __init__(self, audio_format: AudioFormat, limits: LiveLimits, *, field: str = "config") -> None:
        """``field`` is the path of the ``RecognitionConfig`` in the request.

        Raises :class:`earshot.errors.InvalidArgumentError` for what can never be right.
        """
        audio_format.check(field)
        self._allowance = Allowance(limits)
        if audio_format.is_raw:
            self._stage: Stage = _Raw(audio_format)
        else:
            self._stage = _Recordings(audio_format, self._allowance, field)

    def push(self, data: bytes | memoryview) -> Samples:
        """All samples that can be had by now: int16, perhaps none.

        Raises :class:`earshot.errors.InvalidArgumentError`; the stream is then over.
        """
        if not len(data):
            return NOTHING
        with _located():
            self._allowance.add(len(data))
            return self._stage.push(bytes(data))

    def finish(self) -> Samples:
        """The rest; raises for what only the end shows. A stream of no bytes at all is empty, and right."""
        with _located():
            return self._stage.finish()

    def close(self) -> None:
        """Gives all back, in the middle or at the end, once or twice."""
        self._stage.close()


@contextmanager
def _located() -> Iterator[None]:
    """Gives the errors of content the name of the field that it has in a stream."""
    try:
        yield
    except InvalidArgumentError as error:
        if error.field == "content":
            error.field = FIELD
        raise


class _Raw:
    """Samples without a header, as the config states them."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format, self._head, self._size = audio_format, b"", 0
        kind, channels = RAW_KINDS[audio_format.encoding], audio_format.channels or 1
        self._samples = SampleDecoder(kind, audio_format.sample_rate, channels)

    @property
    def heard(self) -> bool:
        return self._samples.heard

    def push(self, data: bytes) -> Samples:
        before, self._size = self._size, self._size + len(data)
        if before >= MAGIC:
            return self._samples.push(data)
        self._head += data
        return self._first() if self._size >= MAGIC else NOTHING

    def finish(self) -> Samples:
        first = self._first() if self._size < MAGIC else NOTHING
        check_raw_size(self._size, self._format)
        return joined([first, self._samples.finish()])

    def close(self) -> None:
        pass

    def _first(self) -> Samples:
        check_raw_start(memoryview(self._head), self._format)
        return self._samples.push(self._head)


class _Recordings:
    """A recording with a header, or several of a kind one after the other: known by its first bytes."""

    def __init__(self, audio_format: AudioFormat, allowance: Allowance, field: str) -> None:
        self._container = partial(
            ContainerDecoder, audio_format=audio_format, allowance=allowance, field=field
        )
        self._wav = partial(WavDecoder, audio_format, field, partial(self._container, "wav"))
        self._head, self._skip = b"", 0  # bytes not known yet, bytes of a tag to pass over
        self._begun = False
        self._chain: Chain | None = None

    @property
    def heard(self) -> bool:
        return self._chain is not None and self._chain.heard

    def push(self, data: bytes) -> Samples:
        self._begun = True
        if self._chain is not None:
            return self._chain.push(data)
        self._pass_tags(data)
        if len(self._head) >= HEAD or (len(self._head) >= MAGIC and demuxer_of(self._head)):
            return self._first()
        return NOTHING

    def finish(self) -> Samples:
        first = self._first() if self._chain is None and self._head else NOTHING
        rest = self._chain.finish() if self._chain is not None else NOTHING
        if self._begun and not self.heard:
            raise bad_content("AUDIO_EMPTY", "content holds no sound that can be decoded: is it cut short?")
        return joined([first, rest])

    def close(self) -> None:
        if self._chain is not None:
            self._chain.close()

    def _pass_tags(self, data: bytes) -> None:
        """Adds to the head what is no ID3v2 tag; libav would want to see all of its pictures first."""
        passed = min(self._skip, len(data))
        self._skip -= passed
        self._head += data[passed:]
        while len(self._head) >= 10 and (size := tag_size(self._head)):
            self._skip = max(0, size - len(self._head))
            self._head = self._head[size:]

    def _first(self) -> Samples:
        """Decodes the head, now that it is long enough to tell what it is, or all there is."""
        demuxer = demuxer_of(self._head)
        if demuxer is None:
            check_sound(memoryview(self._head))
        self._chain = Chain(demuxer, self._wav if demuxer == "wav" else partial(self._container, demuxer))
        head, self._head = self._head, b""
        return self._chain.push(head)
