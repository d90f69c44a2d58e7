"""What each codec saves on the way, what it costs to encode and decode, and what it does to the words."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Final

import av
import jiwer
import numpy as np

from benchmarks import data
from benchmarks.harness import Curve, Ratio, Report, Scale, Table
from benchmarks.peers import bare_engine
from benchmarks.peers.bare_engine import Hear
from benchmarks.word_error_rate import normalised
from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat, Encoding
from earshot.audio.limits import AudioLimits
from earshot.client.streaming import transcoding
from earshot.stt.types import SAMPLE_RATE, Samples

PCM: Final = "PCM, 16 bit"
LOSSLESS: Final = "flac"
OPUS: Final = tuple(f"opus:{rate}k" for rate in (8, 16, 24, 32, 64))
MP3: Final = ("mp3:64k",)
WITHIN: Final = 0.01  # of the words: how far the error rate may be from that of PCM
_EXPLICIT: Final = AudioFormat()


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording and its words."""

    samples: Samples
    words: str


@dataclass(frozen=True, slots=True)
class Coded:
    """What came out at the other end, and at what cost."""

    samples: Samples
    size: int  # bytes
    encoding: float  # CPU seconds, as of decoding
    decoding: float


@dataclass(frozen=True, slots=True)
class Row:
    """A codec over one set of recordings."""

    share: float  # of PCM's bytes
    encoding: float  # CPU milliseconds for a second of audio
    decoding: float
    error_rate: float


def measure(scale: Scale) -> Report:
    """Digits to Whisper, read speech to PocketSphinx; one process for each core."""
    names = scale.of((PCM, LOSSLESS, *OPUS, *MP3), (PCM, LOSSLESS, "opus:24k"))
    sets: dict[str, tuple[Callable[[], Hear], list[Spoken]]] = {
        "digits": (
            partial(bare_engine.speech, "faster-whisper", str(data.DIGITS_MODEL)),
            digits(scale.of(5, 1), scale.of(60.0, 10.0)),
        ),
        "read speech": (partial(bare_engine.speech, "pocketsphinx", ""), clips(scale.of(None, 1))),
    }
    rows = {kind: table(make, spoken, names) for kind, (make, spoken) in sets.items()}
    report = Report(
        "Codecs: bytes, words, CPU",
        f"{described('digits', sets)} to faster-whisper with a small checkpoint that hears digits; "
        f"{described('read speech', sets)} to PocketSphinx. Each clip is encoded as the client does it, "
        "decoded as the service does it, and heard by the bare engine. MP3 is for comparison: the "
        "client does not make it. CPU is of one core, for a second of audio.",
    )
    report.ratios += [smallest(kind, found) for kind, found in rows.items()]
    report.tables.append(shown(names, rows))
    for kind, found in rows.items():
        points = tuple(
            (found[name].share * 256, found[name].error_rate * 100)
            for name in names
            if ":" in name and "opus" in name
        )
        report.curves.append(Curve(f"Opus, {kind}", "kbit/s on the wire", "words wrong, %", points))
    return report


def described(kind: str, sets: dict[str, tuple[Callable[[], Hear], list[Spoken]]]) -> str:
    """How much of it there is."""
    spoken = sets[kind][1]
    minutes = sum(len(one.samples) for one in spoken) / SAMPLE_RATE / 60
    return f"{minutes:.1f} min of {kind} ({sum(len(one.words.split()) for one in spoken)} words)"


def digits(count: int, seconds: float) -> list[Spoken]:
    """Cuts of the recordings, whose words' times are known; cut between groups."""
    cuts = []
    for row, samples in zip(data.rows("digits"), data.digits(), strict=True):
        for begin in np.arange(0, 180 - seconds, seconds):
            inside = [
                one["word"]
                for one in row["words"]
                if begin <= one["start_s"] and one["end_s"] <= begin + seconds
            ]
            split = [
                one
                for one in row["words"]
                if one["start_s"] < begin + seconds < one["end_s"] or one["start_s"] < begin < one["end_s"]
            ]
            if not split:
                at = round(begin * SAMPLE_RATE)
                cuts.append(Spoken(samples[at : at + round(seconds * SAMPLE_RATE)], " ".join(inside)))
    return cuts[:count]


def clips(count: int | None) -> list[Spoken]:
    """Read clips whose words were checked; all, or so many of the shortest."""
    rows = [row for row in data.rows("speech") if row["kind"] == "speech" and row["transcript"]]
    checked = [row for row in rows if "so762-" not in row["file"]]
    read = [Spoken(data.samples(data.folder("speech") / row["file"]), row["transcript"]) for row in checked]
    return sorted(read, key=lambda one: len(one.samples))[:count]


def table(make: Callable[[], Hear], spoken: list[Spoken], names: tuple[str, ...]) -> dict[str, Row]:
    """A row for each codec."""
    jobs = [(name, one) for name in names for one in spoken if name != LOSSLESS]
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, get_context("spawn"), initializer=_load, initargs=(make,)) as pool:
        done = list(pool.map(_heard, jobs))
    heard = [name for name in names if name != LOSSLESS]
    per_codec = {name: done[at * len(spoken) : (at + 1) * len(spoken)] for at, name in enumerate(heard)}
    per_codec[LOSSLESS] = [lossless(one, text) for one, (text, _) in zip(spoken, per_codec[PCM], strict=True)]
    return {name: row(spoken, per_codec[name]) for name in names}


def lossless(spoken: Spoken, text: str) -> tuple[str, Coded]:
    """What is the same to the sample is heard the same, and need not be heard again."""
    coded = through(LOSSLESS, spoken.samples)
    assert np.array_equal(coded.samples, spoken.samples), "FLAC has changed samples"
    return text, coded


def row(spoken: list[Spoken], done: list[tuple[str, Coded]]) -> Row:
    """Of one codec, over all of a set."""
    seconds = sum(len(one.samples) for one in spoken) / SAMPLE_RATE
    wrong = jiwer.process_words(
        [normalised(one.words) for one in spoken], [normalised(text) for text, _ in done]
    )
    return Row(
        share=sum(coded.size for _, coded in done) / (seconds * 2 * SAMPLE_RATE),
        encoding=sum(coded.encoding for _, coded in done) / seconds * 1e3,
        decoding=sum(coded.decoding for _, coded in done) / seconds * 1e3,
        error_rate=wrong.wer,
    )


_hearers: list[Hear] = []  # the one of this process


def _load(make: Callable[[], Hear]) -> None:
    _hearers.append(make())


def _heard(job: tuple[str, Spoken]) -> tuple[str, Coded]:
    name, spoken = job
    coded = through(name, spoken.samples)
    return _hearers[0](coded.samples), coded


def through(name: str, samples: Samples) -> Coded:
    """Encoded and decoded again."""
    started = time.process_time()
    content = encoded(name, samples.tobytes())
    between = time.process_time()
    stated = AudioFormat(Encoding.LINEAR16, SAMPLE_RATE, 1) if name == PCM else _EXPLICIT
    again = decode_all(content, stated, AudioLimits())
    return Coded(again, len(content), between - started, time.process_time() - between)


def encoded(name: str, samples: bytes) -> bytes:
    """A whole file."""
    if name == PCM:
        return samples
    if name.startswith("mp3:"):
        return mp3(samples, int(name.removeprefix("mp3:").removesuffix("k")) * 1000)
    encoder = transcoding.codec(name, live=False).new()
    return encoder.encode(samples) + encoder.finish()


def mp3(samples: bytes, bit_rate: int) -> bytes:
    """By LAME, at a constant rate."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=SAMPLE_RATE, layout="mono")
        stream.codec_context.bit_rate = bit_rate
        stream.codec_context.format = "s16p"
        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(samples, np.int16)[None], format="s16p", layout="mono"
        )
        frame.sample_rate = SAMPLE_RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


def smallest(kind: str, found: dict[str, Row]) -> Ratio:
    """The fewest bytes whose words are as good as PCM's."""
    good = [name for name in found if found[name].error_rate <= found[PCM].error_rate + WITHIN]
    name = min(good, key=lambda one: found[one].share)
    share = found[name].share
    title = f"{kind}: upload bytes / PCM, words within 1 point ({name})"
    return Ratio(title, share, share, share, "<= 0.15")


def shown(names: tuple[str, ...], rows: dict[str, dict[str, Row]]) -> Table:
    """Both sets side by side."""
    first = next(iter(rows.values()))
    columns = (
        "codec",
        "bytes / PCM",
        "kbit/s",
        *(f"words wrong, {kind}, %" for kind in rows),
        "encoding, ms/s",
        "decoding, ms/s",
    )
    lines: tuple[tuple[str | float, ...], ...] = tuple(
        (
            *(name, first[name].share, first[name].share * 256),
            *(found[name].error_rate * 100 for found in rows.values()),
            *(first[name].encoding, first[name].decoding),
        )
        for name in names
    )
    return Table("Codecs", columns, lines)
