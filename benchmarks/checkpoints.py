"""The speech models that clips of 10 s are measured with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import data
from benchmarks.harness import Scale


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One for faster-whisper."""

    name: str
    path: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of ``earshot up``."""
        return "--stt-engine", "faster-whisper", "--stt-model", str(self.path)


DIGITS = Checkpoint("a small checkpoint of digits", data.DIGITS_MODEL)


@contextmanager
def smallest(scale: Scale) -> Iterator[Checkpoint]:
    """In the shape of the smallest that OpenAI publishes: its weights cannot be had here.

    It says 27 tokens, as 10 s of speech would take. In short it is the digits', which is there already.
    """
    if scale.short:
        yield DIGITS
        return
    from benchmarks.peers import whisper_shape  # noqa: PLC0415 - torch, for who wants this one alone

    with TemporaryDirectory() as folder:
        yield Checkpoint("tiny.en's shape", whisper_shape.speaking(Path(folder)))
