"""Spoken digits, of which every word is known: for a release that hears them, and a load that speaks them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from tests.cluster.kube import Document, Namespace
from tests.cluster.traffic import Call
from tests.cluster.weights import claim, converted
from tests.drills.speech import Difference, difference

_FILE = "jackson.flac"
_SECONDS = {"clip": 4.0, "stream": 20.0}  # of audio, by the name of the file
_KINDS = {"clip": "digits", "stream": "stream"}  # of call


@dataclass(frozen=True)
class Spoken:
    """A claim with a model, and with the samples that ``load.py`` sends."""

    claim: str
    words: dict[str, list[str]]  # by the kind of call

    @property
    def values(self) -> Document:
        """Of a release that hears them."""
        source = {"type": "claim", "claim": {"name": self.claim}}
        return {"stt": {"engine": "faster-whisper", "model": "/models/digits", "modelSource": source}}

    def difference(self, calls: Iterable[Call], kind: str) -> Difference:
        """Words that those calls of a kind have lost, doubled or changed, of all that were spoken."""
        heard = [call.said.split() for call in calls if call.kind == kind and not call.error]
        return difference([self.words[kind]] * len(heard), heard)


@contextlib.contextmanager
def spoken(space: Namespace, shared: Path, folder: Path) -> Iterator[Spoken]:
    """In the namespace for so long; ``folder`` is empty, and this machine's, which is the nodes' too."""
    folder.chmod(0o755)
    model = folder / "digits"
    converted(shared / "models" / "whisper-digits.pt", model)
    words: dict[str, list[str]] = {}
    for name, seconds in _SECONDS.items():
        samples, words[_KINDS[name]] = _recording(shared, seconds)
        (folder / f"{name}.s16").write_bytes(samples)
    for path in (model, *model.iterdir()):
        path.chmod(0o755)
    with claim(space, folder) as name:
        yield Spoken(name, words)


def _recording(shared: Path, seconds: float) -> tuple[bytes, list[str]]:
    """Samples (s16, 16 kHz) of about so long, cut between two words, and the words."""
    folder = shared / "data" / "digits"
    rows = map(json.loads, (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines())
    words = next(row["words"] for row in rows if row["file"] == _FILE)
    count = sum(word["end_s"] <= seconds for word in words)
    cut = (words[count - 1]["end_s"] + words[count]["start_s"]) / 2
    samples = decode_all((folder / _FILE).read_bytes(), AudioFormat(), AudioLimits())
    return samples[: round(cut * 16_000)].tobytes(), [str(word["word"]) for word in words[:count]]
