"""Cuts audio that keeps coming into stretches of speech.

The stretch begins at a frame that is probably speech and ends at a silence that lasts, both as in
:mod:`earshot.stt.speech_segments`. One that grows too long is cut where speech is least probable, and
both sides hear a little beyond the cut, so that no word is lost to it.

All that is decided depends on nothing but the samples from ``origin`` on: the detector starts anew
there, and ``origin`` moves only to where whatever was before has been given out. A stream that is
taken up again at its ``origin``, on another machine, therefore gives the same stretches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from earshot.stt.speech_segments import FRAME, SpeechDetector
from earshot.stt.streaming.gate import GatedDetector
from earshot.stt.streaming.wire import Endpointing, Event, Span
from earshot.stt.types import SAMPLE_RATE, Samples

GRID: Final = SAMPLE_RATE // 25  # 40 ms: origins lie on it, a whole number of samples at any usual rate
OVERLAP: Final = 0.6  # seconds heard on both sides beyond a cut
_BLOCK: Final = 256 * FRAME  # samples that the detector is given at once: 8 s
_THRESHOLD, _RELEASE = 0.5, 0.35  # probabilities of speech that start a stretch, and that keep it up
_MIN_SPEECH: Final = 0.1  # seconds; what is shorter is a click
_SETTLE: Final = 4.0  # seconds of silence after which the origin follows,
_MARGIN: Final = 0.5  # so far behind, beside the pre-roll


@dataclass(slots=True)
class _Stretch:
    """Speech that goes on; frames from the origin."""

    start: int
    last: int  # the latest frame that was speech


class Endpointer:
    """Give it samples with :meth:`push`, then take what is ready from :meth:`spans` until it is spent."""

    def __init__(self, detector: SpeechDetector, how: Endpointing, origin: int, keep_from: int) -> None:
        self._detector, self._how = detector, how
        self.origin = origin
        self.keep_from = keep_from
        self.events: list[Event] = []  # for who asks to take away
        self._samples: Samples = np.zeros(0, np.int16)  # from the origin on
        self._announced = keep_from > origin  # that speech has started: true after a cut
        self._restart()

    def _restart(self) -> None:
        self._gated = GatedDetector(self._detector, _RELEASE)
        self._probabilities: list[float] = []
        self._decided = 0  # frames that have been looked at
        self._stretch: _Stretch | None = None

    @property
    def received(self) -> int:
        """Where the samples end."""
        return self.origin + len(self._samples)

    @property
    def speaking(self) -> bool:
        """Whether a stretch of speech goes on."""
        return self._stretch is not None and self._is_speech(self._stretch)

    @property
    def spoken(self) -> int:
        """Where the latest frame of speech ends."""
        return self._at(self._stretch.last + 1) if self._stretch else self.origin

    def push(self, samples: Samples) -> None:
        """More audio."""
        self._samples = np.concatenate((self._samples, samples))

    def spans(self, *, last: bool = False) -> Iterator[tuple[Span, Samples]]:
        """Stretches that have ended, in order. ``last``: no audio will follow.

        The origin is where the next one begins while the iteration stands at one.
        """
        while True:
            if self._decided < len(self._probabilities):
                self._decided += 1  # first: what is decided may start all anew
                found = self._decide(self._decided - 1)
                if found:
                    yield found
            elif not self._detect(last=last):
                break
        if last:
            yield from self._rest()

    def going_on(self) -> tuple[Span, Samples] | None:
        """The stretch that has not ended, as far as it goes."""
        if self._stretch is None or not self._is_speech(self._stretch):
            return None
        return self._span(self._begin(self._stretch), self.received, self.received)

    def _detect(self, *, last: bool) -> bool:
        """Looks at the next frames; False where there are none."""
        done = len(self._probabilities) * FRAME
        left = len(self._samples) - done
        take = min(left if last else left - left % FRAME, _BLOCK)
        if take <= 0:
            return False
        found = self._gated.probabilities(self._samples, done, done + take)
        self._probabilities.extend(found)
        return True

    def _decide(self, frame: int) -> tuple[Span, Samples] | None:
        """What the frame means."""
        probability = self._probabilities[frame]
        stretch = self._stretch
        if stretch is None:
            if probability >= _THRESHOLD:
                self._stretch = _Stretch(frame, frame)
            else:
                self._settle(frame)
            return None
        if probability >= _RELEASE:
            stretch.last = frame
        self._announce(stretch)
        if frame - stretch.last >= _frames(self._how.end_silence):
            return self._end(stretch, frame)
        if frame + 1 - stretch.start >= _frames(self._how.max_segment) + _frames(OVERLAP):
            return self._cut(stretch, frame)
        return None

    def _settle(self, frame: int) -> None:
        """In a long silence, lets the origin follow; one after a cut ends the speech before it."""
        if self._announced and frame + 1 >= _frames(min(self._how.end_silence, _SETTLE)):
            self._announce_end(self.keep_from)
        if frame + 1 >= _frames(_SETTLE):
            self._move(self._on_grid(self._at(frame + 1) - _samples(self._how.pre_roll + _MARGIN)))

    def _end(self, stretch: _Stretch, frame: int) -> tuple[Span, Samples] | None:
        """The silence has lasted up to ``frame``."""
        if not self._is_speech(stretch):
            self._dismiss(frame)
            return None
        # Of the very last frame there may be less than a frame.
        heard = min(self._at(frame + 1), self.received)
        end = min(self._at(stretch.last + 1) + _samples(self._how.post_roll), heard)
        found = self._span(self._begin(stretch), end, end)
        self._announce_end(self._at(stretch.last + 1))
        self._move(self._on_grid(end))
        return found

    def _dismiss(self, frame: int) -> None:
        """What went on up to ``frame`` was a click, and is silence too: many must not hold up the origin."""
        self._stretch = None
        self._settle(frame)

    def _cut(self, stretch: _Stretch, frame: int) -> tuple[Span, Samples] | None:
        """Speech goes on for too long: ends it where speech is least probable in its second half."""
        if not self._is_speech(stretch):
            self._dismiss(frame)
            return None
        longest, beyond = _frames(self._how.max_segment), _frames(OVERLAP)
        earliest = stretch.start + longest // 2
        window = self._probabilities[earliest : stretch.start + longest]
        cut = earliest + int(np.argmin(window))
        middle = self._at(cut) + FRAME // 2
        found = self._span(self._begin(stretch), self._at(cut + beyond), middle)
        self._move(self._on_grid(self._at(cut - beyond)), keep_from=middle)
        return found

    def _rest(self) -> Iterator[tuple[Span, Samples]]:
        """The audio is over."""
        stretch, end = self._stretch, self.received
        found = None
        if stretch is not None and self._is_speech(stretch):
            until = min(end, self._at(stretch.last + 1) + _samples(self._how.post_roll))
            found = self._span(self._begin(stretch), until, until)
            self._announce_end(self._at(stretch.last + 1))
        elif self._announced:
            self._announce_end(self.keep_from)
        self._move(end)
        if found:
            yield found

    def _span(self, start: int, end: int, keep_to: int) -> tuple[Span, Samples]:
        samples = self._samples[start - self.origin : end - self.origin]
        return Span(start, end, max(start, self.keep_from), keep_to), samples

    def _move(self, origin: int, keep_from: int = 0) -> None:
        """What is before ``origin`` is given out: starts anew there."""
        self._samples = self._samples[origin - self.origin :].copy()
        self.origin, self.keep_from = origin, max(origin, keep_from)
        self._restart()

    def _announce(self, stretch: _Stretch) -> None:
        if not self._announced and self._is_speech(stretch):
            self._announced = True
            self.events.append(Event(started=True, position=self._at(stretch.start)))

    def _announce_end(self, position: int) -> None:
        self._announced = False
        self.events.append(Event(started=False, position=min(position, self.received)))

    def _is_speech(self, stretch: _Stretch) -> bool:
        return stretch.last + 1 - stretch.start >= _frames(_MIN_SPEECH)

    def _begin(self, stretch: _Stretch) -> int:
        return max(self.origin, self._at(stretch.start) - _samples(self._how.pre_roll))

    def _at(self, frame: int) -> int:
        return self.origin + frame * FRAME

    def _on_grid(self, position: int) -> int:
        return position - position % GRID


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def _frames(seconds: float) -> int:
    return max(1, round(seconds * SAMPLE_RATE / FRAME))
