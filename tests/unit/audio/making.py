"""Recordings made for tests: tones, WAV headers of every mistake, and files through ffmpeg's encoders."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits

AUTO = AudioFormat()
LIMITS = AudioLimits()


def heard(data: bytes, audio_format: AudioFormat = AUTO, limits: AudioLimits = LIMITS) -> NDArray[np.int16]:
    return decode_all(data, audio_format, limits)


def tone(hertz: float, rate: int = 16_000, seconds: float = 1.0, level: float = 0.5) -> NDArray[np.float64]:
    """A sine, -1 to 1."""
    return level * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def s16(*channels: NDArray[np.float64]) -> bytes:
    """Interleaved 16-bit little-endian samples."""
    return np.rint(np.stack(channels, axis=1) * 32767).astype("<i2").tobytes()


def wav(
    data: bytes,
    *,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    stated: int | None = None,
) -> bytes:
    """A WAV file; ``stated`` is the length of the data that its header claims."""
    size = len(data) if stated is None else stated
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame % 2**32, frame % 2**16, bits)
    riff = struct.pack("<4sI4s4sI", b"RIFF", (36 + size) % 2**32, b"WAVE", b"fmt ", len(form))
    return riff + form + struct.pack("<4sI", b"data", size) + data


def caf(
    samples: NDArray[np.float64], *, rate: float = 16_000.0, frames_a_packet: int = 1, channels: int = 1
) -> bytes:
    """A CAF file, 16-bit samples at 16 kHz, whose header states what is given."""
    file = bytearray(encoded("caf", "pcm_s16be", samples, 16_000))
    description = file.index(b"desc") + 12
    struct.pack_into(">d", file, description, rate)
    struct.pack_into(">II", file, description + 20, frames_a_packet, channels)
    return bytes(file)


def float_wav(samples: NDArray[np.float64], rate: int = 16_000) -> bytes:
    return wav(samples.astype("<f4").tobytes(), rate=rate, bits=32, tag=3)


def encoded(
    container: str, codec: str, samples: NDArray[np.float64], rate: int, layout: str = "mono", **options: str
) -> bytes:
    """``samples`` (the same in every channel) through one of ffmpeg's encoders."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, container_options=options) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        if codec.startswith("wma"):
            stream.bit_rate = 64_000  # it has no default that it takes
        every = np.repeat(samples * 32767, stream.layout.nb_channels).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(every, "s16", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def silent_film() -> bytes:
    """An MP4 of a second of grey, without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(stream.encode(None))
    return file.getvalue()


def box(name: bytes, *parts: bytes) -> bytes:
    """One box of an MP4 file (ISO/IEC 14496-12)."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def mp4(handler: bytes, entry: bytes, count: int, tables: tuple[bytes, ...], data: bytes) -> bytes:
    """An MP4 of one track: ``count`` samples by the sample ``tables`` given. Its data starts at byte 24."""
    description = box(b"stsd", struct.pack(">II", 0, 1), entry)
    times = box(b"stts", struct.pack(">4I", 0, 1, count, 160))
    header = box(b"mdhd", struct.pack(">6I", 0, 0, 0, 8_000, 8_000, 0))
    kind = box(b"hdlr", bytes(8), handler, bytes(13))
    media = box(b"mdia", header, kind, box(b"minf", box(b"stbl", description, times, *tables)))
    return box(b"ftyp", b"isom", bytes(4)) + box(b"mdat", data) + box(b"moov", box(b"trak", media))


def peak_hertz(samples: NDArray[np.int16]) -> float:
    """The strongest frequency in 16 kHz samples."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * 16_000 / samples.size)


def level(samples: NDArray[np.int16]) -> float:
    """The peak of a sine of the same power, full scale 1; the edges of the filter left out."""
    middle = samples[800:-800].astype(np.float64) / 32768
    return float(np.sqrt(2 * np.mean(middle**2)))
