"""Live streams: how late words come, how many streams fit, and how memory stands after hours.

    python -m benchmarks.streams delay     # end of speech to final, first word to interim, at half load
    python -m benchmarks.streams many      # 200 streams that are silent nine tenths of the time
    python -m benchmarks.streams long      # two hours in one stream, as fast as it goes
    python -m benchmarks.streams cuts      # wrong words where speech is cut by force, and in unary calls

Through the real Envoy, with the digits checkpoint on faster-whisper and its long recordings, whose words have
known offsets. A delay is beyond what the silence that ends a stretch and the engine itself take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import jiwer
import numpy as np
import psutil
from google.protobuf.duration_pb2 import Duration

from benchmarks.stack import running
from benchmarks.watched import cpu, memory, said
from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.client import AsyncClient, Encoding
from earshot.gen.v1 import audio_pb2, speech_pb2, speech_pb2_grpc, streaming_pb2

RATE, CHUNK = 16_000, 1_600  # samples a second; of a chunk, 100 ms
END_SILENCE = 0.6  # seconds, the service's default
SHARED = Path(os.environ.get("EARSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
MODEL = SHARED / "models" / "whisper-digits.pt"

Request = speech_pb2.StreamingRecognizeRequest
Response = speech_pb2.StreamingRecognizeResponse


@dataclass
class Live:
    """A stream at the pace of speech, and when its words came."""

    samples: bytes
    word_ends: list[float]  # seconds from the start of the audio
    sent: dict[int, float] = field(default_factory=dict)  # when each chunk left
    finals: list[float] = field(default_factory=list)  # delays, in seconds
    interims: list[float] = field(default_factory=list)
    ended: float = 0.0  # offset of the last end of speech
    started: float | None = None  # offset of a stretch that has no interim yet

    async def run(self, stub: Any, delay: float) -> None:  # noqa: ANN401 - the stubs know only the synchronous form
        """Begins after ``delay`` seconds."""
        await asyncio.sleep(delay)
        async for response in stub.StreamingRecognize(self._requests()):
            self._take(response, time.monotonic())

    async def _requests(self) -> AsyncIterator[Request]:
        yield configured(events=True, interims=True)
        begin = time.monotonic()
        for number, chunk in enumerate(cut(self.samples)):
            await asyncio.sleep(max(0.0, begin + (number + 1) * CHUNK / RATE - time.monotonic()))
            self.sent[number] = time.monotonic()
            yield audio(number + 1, chunk)

    def _take(self, response: Response, now: float) -> None:
        for event in response.events:
            if event.kind == streaming_pb2.SpeechEvent.KIND_SPEECH_STARTED:
                self.started = seconds(event.offset)
            else:
                self.ended = seconds(event.offset)
        for result in response.results:
            if result.is_final:
                engine = seconds(response.metadata.latency.inference)
                self.finals.append(now - self._left(self.ended) - END_SILENCE - engine)
                self.started = None
            elif self.started is not None:
                first = next((end for end in self.word_ends if end > self.started), None)
                if first is not None:
                    self.interims.append(now - self._left(first))
                self.started = None

    def _left(self, offset: float) -> float:
        """When the chunk with that offset was sent."""
        return self.sent[min(int(offset * RATE) // CHUNK, max(self.sent))]


def configured(*, events: bool = False, interims: bool = False) -> Request:
    """The first message, for raw samples."""
    config = audio_pb2.RecognitionConfig()
    config.explicit_decoding_config.encoding = audio_pb2.ExplicitDecodingConfig.AUDIO_ENCODING_LINEAR16
    config.explicit_decoding_config.sample_rate_hertz = RATE
    features = streaming_pb2.StreamingFeatures(interim_results=interims, voice_activity_events=events)
    return Request(
        streaming_config=speech_pb2.StreamingRecognitionConfig(config=config, streaming_features=features)
    )


def audio(number: int, content: bytes) -> Request:
    """A chunk."""
    return Request(audio=streaming_pb2.AudioChunk(content=content, sequence_number=number))


def cut(samples: bytes, size: int = CHUNK) -> list[bytes]:
    """In chunks of ``size`` samples."""
    return [samples[at : at + 2 * size] for at in range(0, len(samples), 2 * size)]


def seconds(duration: Duration) -> float:
    """A protobuf Duration."""
    return duration.seconds + duration.nanos / 1e9


def recordings() -> list[tuple[bytes, list[float]]]:
    """Samples, and where each word ends."""
    return [(samples, [end for _, end in words]) for samples, words in known_words()]


def plain(text: str) -> str:
    """As it is spoken."""
    return text.lower().replace(",", "").replace(".", "")


def known_words() -> list[tuple[bytes, list[tuple[str, float]]]]:
    """Samples, and each word with where it ends."""
    folder = SHARED / "data" / "digits"
    if not folder.is_dir():
        sys.exit(f"no recordings at {folder}: set EARSHOT_SHARED to the folder with data/ and models/")
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    return [
        (
            decode_all((folder / row["file"]).read_bytes(), AudioFormat(), AudioLimits()).tobytes(),
            [(word["word"], word["end_s"]) for word in row["words"]],
        )
        for row in rows
    ]


async def delay(port: int, streams: int, length: float) -> None:
    """End of speech to final, and end of a stretch's first word to its first interim."""
    known = recordings()
    lives = [Live(samples[: int(length * RATE) * 2], ends) for samples, ends in known * 3][:streams]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = speech_pb2_grpc.SpeechToTextStub(channel)
        await asyncio.gather(*(live.run(stub, number * 0.37) for number, live in enumerate(lives)))
    row("end of speech to final, beyond silence and engine", [one for live in lives for one in live.finals])
    row(
        "first word's end to first interim, engine included", [one for live in lives for one in live.interims]
    )


def row(what: str, figures: list[float]) -> None:
    """Median and 95th percentile, in milliseconds."""
    cuts = statistics.quantiles(figures, n=20)
    print(
        f"{what}: median {cuts[9] * 1e3:.0f} ms, p95 {cuts[18] * 1e3:.0f} ms, of {len(figures)}", flush=True
    )


async def many(port: int, root: psutil.Process, streams: int, length: float) -> None:
    """Streams that say a little now and then; memory and CPU of the service before, and while they go on."""
    talk, _ = recordings()[0]
    spoken = talk[2 * 2 * RATE : 2 * 5 * RATE]  # "zero five six two"
    samples = (spoken + room(27)) * max(1, round(length / 30))
    before, worked = memory(root), cpu(root)
    lives = [Live(samples, []) for _ in range(streams)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = speech_pb2_grpc.SpeechToTextStub(channel)
        going = asyncio.gather(*(one.run(stub, number * 30 / streams) for number, one in enumerate(lives)))
        await asyncio.sleep(length * 0.9)
        during = memory(root)
        await going
    shares = {kind: 100 * (spent - worked.get(kind, 0.0)) / length for kind, spent in cpu(root).items()}
    print(
        f"{streams} streams, {sum(len(one.finals) for one in lives)} finals of {streams * round(length / 30)}"
    )
    print(f"front processes: {(during['stt'] - before['stt']) / streams:.2f} MiB for each stream")
    print("CPU of a core:", said(shares, "%"))
    row("end of speech to final, beyond silence and engine", [one for live in lives for one in live.finals])


def room(length: float) -> bytes:
    """So many seconds of a quiet room: noise as loud as in the recordings' own pauses."""
    noise = np.random.default_rng(1).normal(0, 20, round(length * RATE))
    return np.rint(noise).astype("<i2").tobytes()


async def long(port: int, root: psutil.Process, hours: float) -> None:
    """One stream, as fast as it is taken: three minutes of digits, then seventeen of a quiet room, and again.

    Memory of the stack after the first minute, and from then on every ten minutes of audio.
    """
    known, pause = [samples for samples, _ in recordings()], room(17 * 60)
    finals, received = 0, 0.0

    async def requests() -> AsyncIterator[Request]:
        yield configured()
        number, sent = 0, 0.0
        while sent < hours * 3600:
            for chunk in cut(known[int(sent / 1200) % len(known)] + pause, RATE):
                number, sent = number + 1, sent + len(chunk) / 2 / RATE
                yield audio(number, chunk)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        due, started = 60.0, time.monotonic()
        stub: Any = speech_pb2_grpc.SpeechToTextStub(channel)
        async for response in stub.StreamingRecognize(requests()):
            finals += sum(result.is_final for result in response.results)
            if response.acknowledgement.resume_token:
                received = seconds(response.acknowledgement.committed_offset)
            if received >= due:
                print(f"{received / 60:6.1f} min of audio: {said(memory(root), 'MiB')}", flush=True)
                due = 600 * (received // 600 + 1)
    print(f"{finals} finals of {received / 3600:.2f} h in {time.monotonic() - started:.0f} s")


async def cuts(port: int, longest: float, length: float) -> None:
    """Words wrong in streams that are cut after ``longest`` seconds, and in unary calls of the same audio."""
    spoken, streamed, unary = [], [], []
    async with AsyncClient(f"127.0.0.1:{port}", timeout=600) as client:
        for samples, words in known_words():
            content = samples[: 2 * round(length * RATE)]
            spoken.append(" ".join(word for word, end in words if end <= len(content) / 2 / RATE))
            raw: dict[str, Any] = {"encoding": Encoding.LINEAR16, "sample_rate": RATE}
            async with client.stream(content, **raw, max_segment=longest, end_silence=5) as stream:
                async for _ in stream:
                    pass
            streamed.append(plain(stream.result.text))
            unary.append(plain((await client.recognize(content, **raw)).text))
            print(f"{len(stream.result.segments)} stretches of {length:.0f} s", flush=True)
    print(
        f"wrong words: {jiwer.wer(spoken, streamed):.2%} in streams, {jiwer.wer(spoken, unary):.2%} in unary"
    )


def main() -> None:
    """Measures once and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["delay", "many", "long", "cuts"])
    parser.add_argument("--streams", type=int, help="delay: 6; many: 200")
    parser.add_argument("--seconds", type=float, default=90, help="length of each stream; not for long")
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--longest", type=float, default=3, help="seconds of speech before a cut")
    chosen = parser.parse_args()
    model = ("--stt-engine", "faster-whisper", "--stt-model", str(MODEL))
    with running(*model) as (root, port, _):
        if chosen.what == "delay":
            asyncio.run(delay(port, chosen.streams or 6, chosen.seconds))
        elif chosen.what == "many":
            asyncio.run(many(port, root, chosen.streams or 200, chosen.seconds))
        elif chosen.what == "long":
            asyncio.run(long(port, root, chosen.hours))
        else:
            asyncio.run(cuts(port, chosen.longest, chosen.seconds))


if __name__ == "__main__":
    main()
