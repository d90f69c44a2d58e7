"""An endpointer whose detector reads the probability of speech out of the samples themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from earshot.stt.speech_segments import FRAME, Carried
from earshot.stt.streaming.endpointing import Endpointer
from earshot.stt.streaming.wire import Endpointing, Event, Span
from earshot.stt.types import SAMPLE_RATE, Samples

SECOND = SAMPLE_RATE / FRAME  # frames
HOW = Endpointing()


class ScriptedDetector:
    """A frame's probability is its mean, in thousandths: wherever it is heard from, it is the same."""

    def advance(self, block: Samples, carried: Carried) -> tuple[np.ndarray, Carried]:
        count = -(-len(block) // FRAME)
        whole = np.pad(block, (0, count * FRAME - len(block)), mode="edge")
        found = whole.reshape(count, FRAME).astype(np.float32).mean(axis=1) / 1000
        return found.astype(np.float32), carried


def curve(*parts: tuple[float, float]) -> Samples:
    """Samples that sound like (seconds, probability), in whole frames; the likelier speech, the louder."""
    wave = np.tile(np.array([0, 2], np.int16), FRAME // 2)
    return np.concatenate(
        [np.tile(wave * round(value * 1000), round(seconds * SECOND)) for seconds, value in parts]
    )


@dataclass(frozen=True)
class Found:
    """What an endpointer says at one time: where the stream then stands, and what has ended, if any."""

    origin: int
    keep_from: int
    span: Span | None = None
    samples: bytes = b""


def endpointer(how: Endpointing = HOW, origin: int = 0, keep_from: int = 0) -> Endpointer:
    return Endpointer(ScriptedDetector(), how, origin, keep_from)  # type: ignore[arg-type]


def heard(ears: Endpointer, pieces: Iterable[Samples]) -> tuple[list[Found], list[Event]]:
    """All that comes of ``pieces`` and the end, each new origin once."""
    found: list[Found] = []

    def take(*, last: bool) -> None:
        for span, samples in ears.spans(last=last):
            found.append(Found(ears.origin, ears.keep_from, span, samples.tobytes()))
        if not found or found[-1].origin != ears.origin:
            found.append(Found(ears.origin, ears.keep_from))

    for piece in pieces:
        ears.push(piece)
        take(last=False)
    take(last=True)
    return found, ears.events


def spans(found: Sequence[Found]) -> list[tuple[Span, bytes]]:
    return [(one.span, one.samples) for one in found if one.span]


def seconds(position: int) -> float:
    return position / SAMPLE_RATE
