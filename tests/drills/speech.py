"""The load: recordings of spoken digits, streamed at a pace, and what has come of them."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jiwer

from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.client import (
    AsyncClient,
    Classification,
    EarshotError,
    Encoding,
    Final,
    Reconnecting,
    Summary,
)
from tests.drills.drill import Result

SHARED = Path(os.environ.get("EARSHOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
DIGITS = SHARED / "data" / "digits"
CHECKPOINT = SHARED / "models" / "whisper-digits.pt"

_CHUNK = 3_200  # bytes: 100 ms
NUMBERS = "numbers"  # what the recordings are about
LABELS = (NUMBERS, "weather", "football")
_NOT_WORDS = re.compile(r"[^a-z ]+")


@dataclass(frozen=True)
class Recording:
    """Samples (s16, 16 kHz), and the digits that are spoken in them."""

    name: str
    samples: bytes
    words: list[str]
    spans: list[tuple[float, float]]  # of each word, in seconds
    labels: tuple[str, ...] = ()  # what it is to be scored against; empty: it is not


@dataclass
class Heard:
    """What has come of one stream."""

    words: list[str] = field(default_factory=list)
    label: str | None = None  # the best of those that were asked for; None: there were none
    breaks: int = 0
    summary: Summary | None = None
    error: EarshotError | None = None

    @property
    def complete(self) -> bool:
        """Whether it ended as it should."""
        return self.error is None and self.summary is not None and self.summary.complete

    @property
    def is_labelled_rightly(self) -> bool:
        """Whether its label is that of spoken digits, where there was to be one."""
        return self.label in {None, NUMBERS}


@cache
def recordings(folder: Path, seconds: float) -> list[Recording]:
    """The first ``seconds`` of each, up to the last word that is whole in them."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    return [_recording(folder, row, seconds) for row in rows]


def _recording(folder: Path, row: dict[str, object], seconds: float) -> Recording:
    data = (folder / str(row["file"])).read_bytes()
    samples = decode_all(data, AudioFormat(), AudioLimits())[: round(seconds * 16_000)].tobytes()
    words: Any = row["words"]
    spoken = [word for word in words if word["end_s"] <= len(samples) / 32_000]
    spans = [(word["start_s"], word["end_s"]) for word in spoken]
    return Recording(str(row["file"]), samples, [str(word["word"]) for word in spoken], spans)


def words_of(text: str) -> list[str]:
    """What was said, in lower case and without marks."""
    return _NOT_WORDS.sub(" ", text.lower()).split()


async def stream(target: str, recording: Recording, speed: float, codec: str | None) -> Heard:
    """One stream at ``speed`` times the pace of speech; ``speed`` 0 is as fast as it goes."""
    async with AsyncClient(target) as client:
        return await stream_by(client, recording, speed, codec)


async def stream_by(client: AsyncClient, recording: Recording, speed: float, codec: str | None) -> Heard:
    """The same by a client that others use too."""
    heard = Heard()
    opened = client.stream(
        _paced(recording.samples, speed),
        encoding=Encoding.LINEAR16,
        sample_rate=16_000,
        codec=codec,
        labels=recording.labels,
        interim_results=False,
    )
    try:
        async with opened as events:
            async for event in events:
                if isinstance(event, Final):
                    heard.words += words_of(event.segment.text)
                heard.breaks += isinstance(event, Reconnecting)
            heard.summary = events.result.summary
            if recording.labels:
                heard.label = _best(events.result.conversation)
    except EarshotError as exc:
        heard.error = exc
    return heard


def _best(scored: Classification | None) -> str:
    return scored.best.label if scored and scored.best else ""


async def _paced(samples: bytes, speed: float) -> AsyncIterator[bytes]:
    """Chunks when their time has come; where the other side is slow they wait, as in a buffer."""
    start = asyncio.get_running_loop().time()
    for number, at in enumerate(range(0, len(samples), _CHUNK)):
        if speed:
            due = start + number * 0.1 / speed
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        yield samples[at : at + _CHUNK]


@dataclass(frozen=True)
class Difference:
    """Words of one run that another lacks, has beside, or has otherwise."""

    lost: int
    doubled: int
    changed: int

    def judge(self, result: Result, what: str = "words") -> None:
        """There must be none: one word that is lost beside one that is doubled is the same as one changed."""
        result.counts |= {"lost": self.lost, "doubled": self.doubled, "changed": self.changed}
        found = f"{self.lost} {what} lost, {self.doubled} doubled, {self.changed} changed"
        result.must(not (self.lost or self.doubled or self.changed), found)


def difference(expected: Sequence[Sequence[str]], heard: Sequence[Sequence[str]]) -> Difference:
    """Summed over streams, by the shortest way from the one to the other."""
    found = jiwer.process_words([" ".join(words) for words in expected], [" ".join(words) for words in heard])
    return Difference(found.deletions, found.insertions, found.substitutions)
