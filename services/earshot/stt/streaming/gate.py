"""Spares the network of the detector what is silent by its level alone.

A frame is quiet when it is hardly louder than the quietest since the beginning, which is the noise of the
place. Once the network has heard no speech in so many quiet frames, it is not asked about the quiet ones
that follow: most streams are silent most of the time, and the network costs thirty times what the level
does. At the first frame that is louder it goes on from the state in which it was left, with the last of the
quiet frames first, and so hears the onset as if it had never been away.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from earshot.stt.speech_segments import FRAME, NOTHING_HEARD, Carried, SpeechDetector
from earshot.stt.types import Samples

LOUDER: Final = 1.33  # times the level of the place, 2.5 dB: quiet no more
SILENT: Final = 1.0  # RMS of samples: nothing but dither, whatever the quietest frame was
HANGOVER: Final = 12  # quiet frames without speech that the network hears: fading ends, pauses
_LEAD: Final = 8  # quiet frames that it hears first when it goes on


class GatedDetector:
    """The detector over audio from its beginning. What it says depends on the samples, not on the blocks."""

    def __init__(self, detector: SpeechDetector, release: float) -> None:
        """``release``: a frame is speech at this probability, once there is some."""
        self._detector, self._release = detector, release
        self._carried: Carried = NOTHING_HEARD
        self._shut = False  # the network has not heard what came last
        self._floors = np.full(2, np.inf, np.float32)  # levels of the quietest frames
        self._quiet = 0  # quiet frames without speech in a row, up to now

    def probabilities(self, samples: Samples, start: int, end: int) -> list[float]:
        """Of speech, for each frame from sample ``start`` to ``end``; ``samples`` are all from the beginning.

        To be called for one block after another; the last frame of the audio may be short.
        """
        quiet = self._are_quiet(samples[start:end])
        found: list[float] = []
        while (frame := len(found)) < len(quiet):
            if quiet[frame] and self._quiet >= HANGOVER:
                self._shut = True
                found.append(0.0)
            else:
                last = min(self._may_shut_after(quiet, frame), len(quiet))
                heard = self._heard(samples, start + frame * FRAME, min(start + last * FRAME, end))
                self._count(quiet[frame:last], heard)
                found += heard
        return found

    def _are_quiet(self, samples: Samples) -> list[bool]:
        """Frames that are quiet by all their levels: what is soft in one may be loud in the other."""
        levels = _levels(samples)
        floors = np.minimum.accumulate(np.concatenate((self._floors[:, None], levels), axis=1), axis=1)
        self._floors = floors[:, -1]
        louder = np.any(levels > np.maximum(SILENT, floors[:, 1:] * LOUDER), axis=0)
        return [not frame for frame in louder.tolist()]

    def _may_shut_after(self, quiet: list[bool], frame: int) -> int:
        """The first frame after ``frame`` before which so many quiet ones may have passed."""
        passed = self._quiet if quiet[frame] else 0
        while frame < len(quiet) and passed < HANGOVER:
            passed = passed + 1 if quiet[frame] else 0
            frame += 1
        return frame

    def _heard(self, samples: Samples, start: int, end: int) -> list[float]:
        lead, self._shut = _LEAD if self._shut else 0, False
        found, self._carried = self._detector.advance(samples[start - lead * FRAME : end], self._carried)
        return [float(one) for one in found[lead:]]

    def _count(self, quiet: list[bool], heard: list[float]) -> None:
        for is_quiet, probability in zip(quiet, heard, strict=True):
            self._quiet = self._quiet + 1 if is_quiet and probability < self._release else 0


def _levels(samples: Samples) -> NDArray[np.float32]:
    """Two rows, RMS of each frame: of what is above 30 Hz, and of the differences, where hisses are loud.

    A short frame at the end is filled up with silence.
    """
    frames = np.zeros((-(-len(samples) // FRAME), FRAME), np.float32)
    frames.reshape(-1)[: len(samples)] = samples
    return np.stack((frames.std(axis=1), np.diff(frames, axis=1).std(axis=1)))
