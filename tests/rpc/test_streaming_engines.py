"""Live streams through real engines: the words are those of the whole clip, and noise has none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from earshot.gen.v1 import speech_pb2
from earshot.stt import __main__ as stt
from earshot.stt.settings import SpeechSettings
from tests.rpc.clips import wav_of
from tests.rpc.conftest import Running, _running, own_ports
from tests.rpc.live import config, converse, converse_with_breaks, cut, silence
from tests.unit.stt.engines.conftest import Spoken, checkpoint, digits, samples_of

__all__ = ["checkpoint", "digits"]  # fixtures


@asynccontextmanager
async def _real(**settings: Any) -> AsyncIterator[Running]:
    made = SpeechSettings(**{"drain_seconds": 0, **own_ports(), **settings})
    async with _running(stt.serve(made), made.port, made.metrics_port) as running:
        yield running


async def test_digits_are_those_of_the_whole_clip_whatever_breaks(
    checkpoint: Path, digits: Callable[[str], Spoken], tmp_path: Path
) -> None:
    george = digits("george.flac").up_to(60)
    chunks = cut(george.samples.tobytes())
    async with _real(engine="faster-whisper", model=str(checkpoint), cache=tmp_path, device="cpu") as service:
        answer = await service.speech.Recognize(
            speech_pb2.RecognizeRequest(content=wav_of(george.samples.tobytes()))
        )
        whole = " ".join(result.alternatives[0].transcript for result in answer.results)
        streamed = await converse(service, config(), chunks)
        broken = await converse_with_breaks(
            service, config(), lambda last: (at := last.committed_sequence_number, chunks[at - 1 :])
        )
    assert _wrong(george.text, streamed.text) <= _wrong(george.text, whole) + 0.01
    assert broken.finals == streamed.finals
    assert broken.summary == streamed.summary


def _wrong(reference: str, heard: str) -> float:
    return float(jiwer.wer(reference, heard.lower().replace(".", "").replace(",", "")))


async def test_noise_is_not_made_into_sentences(shared: Path) -> None:
    """One word is heard in half a minute, in a passage of music that the detector takes for speech."""
    folder = shared / "data" / "speech" / "nonspeech"
    async with _real(engine="pocketsphinx") as service:
        words = {}
        for path in sorted(folder.iterdir()):
            if path.suffix not in (".flac", ".wav", ".mp4"):
                continue
            audio = np.concatenate([samples_of(path), silence(1)])
            heard = await converse(service, config(), cut(audio.tobytes()))
            words[path.name] = heard.text.split()
    assert words
    assert sum(map(len, words.values())) <= 1, words
