"""Recordings as engines take them, and the engines themselves, loaded once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.stt.types import Samples


@dataclass(frozen=True)
class Spoken:
    """A recording with each word of it: its text, start and end in seconds."""

    samples: Samples
    words: list[tuple[str, float, float]]

    @property
    def text(self) -> str:
        return " ".join(word for word, _, _ in self.words)

    def up_to(self, seconds: float) -> Spoken:
        """The beginning, cut in the pause before that time."""
        words = [word for word in self.words if word[2] < seconds]
        following = self.words[len(words)][1]
        return Spoken(self.samples[: int((words[-1][2] + following) / 2 * 16_000)], words)


def samples_of(path: Path) -> Samples:
    return decode_all(path.read_bytes(), AudioFormat(), AudioLimits())


@pytest.fixture(scope="session")
def checkpoint(shared: Path) -> Path:
    """A small real Whisper that knows the English digits."""
    return shared / "models" / "whisper-digits.pt"


@pytest.fixture(scope="session")
def digits(shared: Path) -> Callable[[str], Spoken]:
    """Three minutes of digits by one speaker."""
    folder = shared / "data" / "digits"
    entries = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    by_name = {entry["file"]: entry for entry in entries}

    def spoken(name: str) -> Spoken:
        words = [(word["word"], word["start_s"], word["end_s"]) for word in by_name[name]["words"]]
        return Spoken(samples_of(folder / name), words)

    return spoken


@pytest.fixture(scope="session")
def speech(shared: Path) -> Callable[[str], Samples]:
    """A recording of the public set, by its path in it."""
    return lambda name: samples_of(shared / "data" / "speech" / name)


NONSPEECH = [
    "nonspeech/noise2.flac",
    "nonspeech/noise3.flac",
    "nonspeech/esc10-dog.wav",
    "nonspeech/silence-3s.flac",
    "nonspeech/tone-440hz.flac",
]


@pytest.fixture(params=[*NONSPEECH, "nothing", "a moment", "zeros"])
def nonspeech(request: pytest.FixtureRequest, speech: Callable[[str], Samples]) -> Samples:
    """Recordings without a word in them."""
    made = {"nothing": 0, "a moment": 100, "zeros": 16_000 * 40}
    if request.param in made:
        return np.zeros(made[request.param], np.int16)
    return speech(request.param)


def never() -> bool:
    """Nobody has gone."""
    return False
