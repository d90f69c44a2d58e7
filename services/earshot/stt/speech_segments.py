"""Where speech is in a clip, and the windows in which an engine hears it.

The detector is silero-vad 6 (Silero Team, github.com/snakers4/silero-vad, MIT): the network that the
faster-whisper wheel carries, run by onnxruntime alone. Importing ``faster_whisper`` for it would bring
CTranslate2 and PyAV into every engine process. The two thresholds are those of its
``get_speech_timestamps``; the packing of stretches into windows is that of WhisperX (Bain and others
2023, arXiv:2303.00747, "cut and merge").
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from earshot import errors
from earshot.stt.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earshot.stt.types import Samples

FRAME: Final = 512  # samples; one probability each, 32 ms
_CONTEXT: Final = 64  # samples of the frame before that the network sees again
_BLOCK: Final = 1_000  # frames (32 s) at once: bounds the memory, whatever the clip's length
_STATE: Final = 128  # width of the network's recurrent state

Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """A range of samples to be heard at once, ``end`` excluded."""

    start: int
    end: int

    @property
    def offset(self) -> float:
        """Where the window starts on the clip's clock, in seconds."""
        return self.start / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How speech is found and packed. Times in seconds."""

    max_window: float = 28.0  # what Whisper hears at once is 30, padding included
    threshold: float = 0.5  # a frame at least this probable starts a stretch
    release: float = 0.35  # and frames below this end it
    min_silence: float = 0.5  # once they have lasted as long as this
    min_speech: float = 0.1  # shorter stretches are clicks
    before: float = 0.2  # kept from before a stretch: quiet onsets
    after: float = 0.3  # and from after it: fading ends


class SpeechDetector:
    """Says how probable speech is in each frame. One thread at a time."""

    def __init__(self) -> None:
        # An engine process pays for it, nobody else.
        import onnxruntime  # type: ignore[import-untyped] # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        self._session: Any = onnxruntime.InferenceSession(
            str(_network()), providers=["CPUExecutionProvider"], sess_options=options
        )

    def probabilities(self, samples: Samples) -> Probabilities:
        """One probability of speech for each started frame of s16 mono at 16 kHz."""
        carried = NOTHING_HEARD
        parts: list[Probabilities] = [np.zeros(0, np.float32)]
        for start in range(0, len(samples), _BLOCK * FRAME):
            part, carried = self.advance(samples[start : start + _BLOCK * FRAME], carried)
            parts.append(part)
        return np.concatenate(parts)

    def advance(self, block: Samples, carried: Carried) -> tuple[Probabilities, Carried]:
        """The probabilities of the next frames, given what came before them.

        Only the last block may end within a frame. At most 32 s should be given at once.
        """
        frames = _frames(block, carried.samples)
        part, h, c = self._session.run(None, {"input": frames, "h": carried.h, "c": carried.c})
        return part.ravel(), Carried(h, c, block[-_CONTEXT:].copy())


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What the network takes from frame to frame: its state, and the last samples."""

    h: NDArray[np.float32]
    c: NDArray[np.float32]
    samples: Samples


NOTHING_HEARD: Final = Carried(
    np.zeros((1, 1, _STATE), np.float32), np.zeros((1, 1, _STATE), np.float32), np.zeros(0, np.int16)
)


def _network() -> Path:
    package = find_spec("faster_whisper")  # finds the folder without importing the package
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(
            f"faster-whisper carries the speech detector: {errors.how_to_install('stt')}"
        )
    return Path(package.submodule_search_locations[0], "assets", "silero_vad_v6.onnx")


def _frames(block: Samples, heard: Samples) -> NDArray[np.float32]:
    """Frames of the block, each led by the last samples of the one before it."""
    count = -(-len(block) // FRAME)
    padded = np.zeros(_CONTEXT + count * FRAME, np.float32)
    padded[_CONTEXT - len(heard) : _CONTEXT] = heard
    padded[_CONTEXT : _CONTEXT + len(block)] = block
    windows = np.lib.stride_tricks.sliding_window_view(padded / 32768, _CONTEXT + FRAME)
    return np.ascontiguousarray(windows[::FRAME])


class SpeechSegmenter:
    """Cuts clips into windows of speech. One thread at a time."""

    def __init__(self, how: Segmentation = Segmentation()) -> None:
        self._how = how
        self._detector = SpeechDetector()

    def windows(self, samples: Samples) -> list[Window]:
        """Windows in order, apart from each other, none longer than the longest allowed; none: no speech."""
        probabilities = self._detector.probabilities(samples)
        found = (
            piece
            for stretch in stretches(probabilities, self._how)
            for piece in divided(stretch, probabilities, _in_frames(self._how.max_window))
        )
        return padded(packed(found, self._how), len(samples), self._how)


def stretches(probabilities: Probabilities, how: Segmentation) -> list[Window]:
    """Stretches of speech, in frames: from a frame above the threshold to a silence that lasts."""
    found: list[Window] = []
    start: int | None = None
    last = 0  # the latest frame that was not below the release
    for index, probability in enumerate(probabilities):
        if start is None and probability >= how.threshold:
            start = last = index
        elif start is not None and probability >= how.release:
            last = index
        if start is not None and index - last >= _in_frames(how.min_silence):
            found.append(Window(start, last + 1))
            start = None
    if start is not None:
        found.append(Window(start, last + 1))
    return [one for one in found if one.end - one.start >= _in_frames(how.min_speech)]


def divided(stretch: Window, probabilities: Probabilities, longest: int) -> list[Window]:
    """The stretch in pieces of at most ``longest`` frames, cut where speech is least probable."""
    pieces: list[Window] = []
    start = stretch.start
    while stretch.end - start > longest:
        earliest = start + longest // 2
        cut = earliest + int(np.argmin(probabilities[earliest : start + longest])) + 1
        pieces.append(Window(start, cut))
        start = cut
    return [*pieces, Window(start, stretch.end)]


def packed(found: Iterable[Window], how: Segmentation) -> list[Window]:
    """Neighbours in one window while it is not too long: Whisper hears better in context."""
    windows: list[Window] = []
    for one in found:
        if windows and one.end - windows[-1].start <= _in_frames(how.max_window):
            windows[-1] = Window(windows[-1].start, one.end)
        else:
            windows.append(one)
    return windows


def padded(windows: list[Window], length: int, how: Segmentation) -> list[Window]:
    """Frames to samples, with some silence kept on both sides; what two could claim is shared out."""
    before, after = round(how.before * SAMPLE_RATE), round(how.after * SAMPLE_RATE)
    speech = [(one.start * FRAME, min(one.end * FRAME, length)) for one in windows]
    between = [end + (start - end) * after // (before + after) for (_, end), (start, _) in pairwise(speech)]
    borders = [0, *between, length]
    return [
        Window(max(low, start - before), min(high, end + after))
        for (start, end), (low, high) in zip(speech, pairwise(borders), strict=False)
    ]


def _in_frames(seconds: float) -> int:
    return max(1, round(seconds * SAMPLE_RATE / FRAME))
