"""A container as it comes: ffmpeg's libraries read on a thread of their own, from a file that waits.

They take only a file to read from, and a read must not come back without bytes. So the reader has a
thread, but it never runs beside the one that pushes: each waits for the other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import av

from earshot.audio.checks import bad_content
from earshot.audio.containers import OPEN_OPTIONS
from earshot.audio.decoding import Samples, rounded, translated
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import Allowance
from earshot.audio.live_samples import joined
from earshot.audio.opening import Source, open_file, sound_in
from earshot.audio.resampling import Resampler

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet

_OPTIONS: Final = {
    **OPEN_OPTIONS,
    "probesize": "65536",  # bytes, to tell the container and the codec by
    "formatprobesize": "65536",
    "analyzeduration": "200000",  # microseconds
    "max_index_size": "4096",  # bytes: nobody seeks
}
_STACK: Final = 1 << 20  # bytes: a codec needs a tenth; by default each thread would count with 8 MB
_LAST_WAIT: Final = 5.0  # seconds for a thread to end, which then has nothing left to read
_MOST_WAIT: Final = 60.0  # seconds for what a push brings: far beyond the slowest codec
_MOST_BARREN: Final = 128 << 10  # bytes without a sound, after the first: more than a page or a frame
_MOST_HEADER: Final = 4 << 20  # bytes before it, or where there are pictures: those are large
_EXACT: Final = frozenset({"ogg", "matroska"})
_GRID: Final = 128  # bytes: at 24 kbit/s 43 ms
_WINDOW: Final = 200  # packets


class Feed:
    """The file that the reader's thread reads: it waits for bytes, and the writer for them to be read.

    Where ``grid`` is not 0, each read gives just so many bytes: some demuxers take what there is for a
    packet, and what comes out would depend on how the bytes were cut.
    """

    def __init__(self, grid: int) -> None:
        self._grid = grid
        self._turn = threading.Condition()
        self._data = memoryview(b"")
        self._hungry = self._ended = self._left = False

    def give(self, data: bytes) -> bool:
        """Returns once all of ``data`` has been read and more is wanted, or the reader has left.

        False: it has done neither within a minute.
        """
        with self._turn:
            self._data = memoryview(bytes(self._data) + data)
            self._hungry = self._hungry and not self._ready()
            return self._wait()

    def end(self) -> bool:
        """No more comes; returns as :meth:`give` does, once the reader has left."""
        with self._turn:
            self._ended, self._hungry = True, False
            return self._wait()

    def close(self) -> None:
        """Nobody wants to know the rest: ends without waiting."""
        with self._turn:
            self._data, self._ended = memoryview(b""), True
            self._turn.notify_all()

    def _wait(self) -> bool:
        self._turn.notify_all()
        return self._turn.wait_for(lambda: self._hungry or self._left, _MOST_WAIT)

    def read(self, size: int) -> bytes:
        """At least a byte; none at the end."""
        with self._turn:
            if not self._ready():
                self._hungry = True
                self._turn.notify_all()
                self._turn.wait_for(self._ready)
            block = bytes(self._data[: min(size, self._grid or size)])
            self._data = self._data[len(block) :]
            return block

    def _ready(self) -> bool:
        return self._ended or len(self._data) >= max(self._grid, 1)

    def leave(self) -> None:
        """The reader will read no more."""
        with self._turn:
            self._left = True
            self._turn.notify_all()


class _Health:
    """How the last packets fared."""

    def __init__(self) -> None:
        self._bad: deque[bool] = deque(maxlen=_WINDOW)
        self._packets, self._seconds = 0, 0.0

    def add(self, bad: bool, seconds: float) -> None:
        """Refuses a stream most of which is damaged by now, or that is cut into specks."""
        self._bad.append(bad)
        self._packets += 1
        self._seconds += seconds
        if self._packets > 10_000 + 500 * self._seconds:
            message = "content cuts its audio into specks: encode it anew"
            raise bad_content("AUDIO_TOO_COMPLEX", message)
        if len(self._bad) == _WINDOW:
            self.check()

    def check(self) -> None:
        """Refuses a stream of whose last packets no more than half could be read."""
        if self._bad and sum(self._bad) * 2 >= len(self._bad):
            message = "no more than half of the audio can be decoded: content is damaged, or no longer audio"
            raise bad_content("AUDIO_DAMAGED", message)


class ContainerDecoder:
    """A recording in a container, as libav's ``demuxer`` reads it; None: as it takes it for."""

    def __init__(
        self, demuxer: str | None, audio_format: AudioFormat, allowance: Allowance, field: str
    ) -> None:
        self._demuxer, self._format, self._field = demuxer, audio_format, field
        self._allowance, self._health = allowance, _Health()
        self._head, self._barren = b"", 0
        self._feed = Feed(0 if demuxer in _EXACT else _GRID)
        self._out: list[Samples] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="live-audio", daemon=True)
        self._mixed = False  # there are other streams than the one of sound
        self.heard = False

    def push(self, data: bytes) -> Samples:
        """All samples that can be had by now."""
        self._head = (self._head + data[:64])[:64]
        self._barren += len(data)
        if not data:
            return joined([])
        self._start()
        samples = self._taken(self._feed.give(data))
        self._check_barren()
        return samples

    def finish(self) -> Samples:
        """The rest."""
        self._start()
        return self._taken(self._feed.end())

    def _check_barren(self) -> None:
        if self._barren > (_MOST_BARREN if self.heard and not self._mixed else _MOST_HEADER):
            message = f"{self._barren} bytes in a row hold no audio: is it still the same recording?"
            raise bad_content("AUDIO_DAMAGED", message)

    def close(self) -> None:
        """Ends the thread."""
        if self._thread.ident is not None:
            self._feed.close()
            self._thread.join(_LAST_WAIT)

    def _start(self) -> None:
        if self._thread.ident is None:
            before = threading.stack_size(_STACK)
            try:
                self._thread.start()
            finally:
                threading.stack_size(before)

    def _taken(self, in_time: bool) -> Samples:
        if not in_time:
            raise bad_content("AUDIO_TOO_COMPLEX", "decoding takes too long: encode the recording anew")
        if self._error is not None:
            raise self._error
        samples, self._out = joined(self._out), []
        return samples

    def _run(self) -> None:
        try:
            self._decode()
        except BaseException as error:
            self._error = error  # raised where the bytes come from
        finally:
            self._feed.leave()

    def _decode(self) -> None:
        with (
            open_file(self._feed, memoryview(self._head), self._demuxer, _OPTIONS) as container,
            translated(),
        ):
            source, resampler = sound_in(container, self._format, self._field), Resampler(block=0)
            self._mixed = len(container.streams) > 1
            for frame in self._frames(source):
                self._out.extend(rounded(block, source.is_pcm) for block in resampler.push(frame))
            self._out.extend(rounded(block, source.is_pcm) for block in resampler.flush())
        self._health.check()
        while self._feed.read(4096):  # a container may know its end before the bytes do
            pass

    def _frames(self, source: Source) -> Iterator[AudioFrame]:
        """Frames of sound, without the packets that cannot be decoded."""
        for packet in self._packets(source):
            frames: list[AudioFrame] = []
            try:
                frames = packet.decode()
            except MemoryError:
                raise
            except (av.FFmpegError, ValueError):
                self._health.add(True, 0.0)
            else:
                self._count(frames)
            yield from frames

    def _count(self, frames: list[AudioFrame]) -> None:
        seconds = sum(frame.samples / max(frame.sample_rate, 1) for frame in frames)
        self._health.add(False, seconds)
        self._allowance.spend(seconds)
        if frames:
            self.heard, self._barren = True, 0

    def _packets(self, source: Source) -> Iterator[Packet[AudioStream]]:
        """Packets to the end, going on after what breaks off in between."""
        while True:
            try:
                yield from source.container.demux(source.stream)
            except MemoryError:
                raise
            except av.FFmpegError:
                self._health.add(True, 0.0)
            else:
                return
