"""One client that asks now and then, beside two that ask for more than there is.

    python benchmarks/fairness.py > fairness.json

Through the real Envoy, one replica with one worker, the embedded engine and a clip of two seconds. The
light client asks for one clip at a time and then pauses, so that alone it keeps the worker busy for a fifth
of the time: less than its third. *Alone* is that same client at that same pace with nobody beside it. The
others keep 32 calls each in the air, from one moment to the last. Rounds take turns: alone, beside, beside,
alone. Every answer is compared with the first. Who is refused for lack of room asks again; the light
client's time goes on meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
from stack import running

from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.gen.v1 import audio_pb2, speech_pb2, speech_pb2_grpc
from earshot.local.samples import recordings
from earshot.stt.types import SAMPLE_RATE

BAR = 3.0
FLOODS = ("flood-1", "flood-2")
IN_THE_AIR = 32  # calls of each that floods
CLIP = 2  # seconds
PAUSE = 4.0  # of the light client, in times of what a call takes when it is alone
_Call = Callable[[str, float], Awaitable[float | None]]


@dataclass
class Counts:
    """What became of the calls of those who flood."""

    answered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FLOODS, 0))
    refused: int = 0


def request() -> speech_pb2.RecognizeRequest:
    """Two seconds of speech, as raw samples."""
    source = next(one.content for one in recordings() if str(one.content).endswith("ask-not.flac"))
    assert not isinstance(source, str)
    samples = decode_all(source.read_bytes(), AudioFormat(), AudioLimits())[: CLIP * SAMPLE_RATE]
    explicit = audio_pb2.ExplicitDecodingConfig(
        encoding=audio_pb2.ExplicitDecodingConfig.AUDIO_ENCODING_LINEAR16,
        sample_rate_hertz=SAMPLE_RATE,
        audio_channel_count=1,
    )
    config = audio_pb2.RecognitionConfig(explicit_decoding_config=explicit)
    return speech_pb2.RecognizeRequest(config=config, content=samples.tobytes())


def caller(stub: speech_pb2_grpc.SpeechToTextStub, wanted: speech_pb2.RecognizeRequest) -> _Call:
    """One call as a client of that name: its seconds; None, after a rest: there was no room."""
    said: list[str] = []

    async def call(client: str, rest: float) -> float | None:
        start = time.monotonic()
        try:
            answer = await stub.Recognize(wanted, metadata=(("x-earshot-client", client),), timeout=120)
        except grpc.aio.AioRpcError as exc:
            if exc.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            await asyncio.sleep(rest)
            return None
        said.append(" ".join(result.alternatives[0].transcript for result in answer.results))
        assert said[-1] == said[0] != "", "other words than at first"
        del said[1:]
        return time.monotonic() - start

    return call


async def light(call: _Call, calls: int, pause: float) -> list[float]:
    """Seconds of each of its calls, one at a time, until it is answered."""
    times = []
    for _ in range(calls):
        start = time.monotonic()
        while await call("light", 0.1) is None:
            pass
        times.append(time.monotonic() - start)
        await asyncio.sleep(pause)
    return times


async def flood(call: _Call, client: str, counts: Counts) -> None:
    """Never has enough."""
    while True:
        if await call(client, 0.2) is None:
            counts.refused += 1
        else:
            counts.answered[client] += 1


async def beside(call: _Call, calls: int, pause: float, counts: Counts) -> list[float]:
    """The light client while the others flood."""
    floods = [asyncio.create_task(flood(call, name, counts)) for name in FLOODS for _ in range(IN_THE_AIR)]
    await asyncio.sleep(3 * pause)
    try:
        return await light(call, calls, pause)
    finally:
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
        await asyncio.sleep(pause)


def p95(times: list[float]) -> float:
    """Their 95th percentile."""
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


async def measured(port: int, rounds: int, calls: int) -> dict[str, object]:
    """Rounds of both, turn by turn."""
    counts = Counts()
    times: dict[str, list[list[float]]] = {"alone": [], "beside": []}
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = caller(speech_pb2_grpc.SpeechToTextStub(channel), request())
        pause = PAUSE * statistics.median(await light(call, 5, 0))
        for number in range(rounds):
            for name in ("alone", "beside") if number % 2 == 0 else ("beside", "alone"):
                one = light(call, calls, pause) if name == "alone" else beside(call, calls, pause, counts)
                times[name].append(await one)
                print(f"{name:7} p95 {p95(times[name][-1]):.3f} s", file=sys.stderr)
    return report(times, counts)


def report(times: dict[str, list[list[float]]], counts: Counts) -> dict[str, object]:
    """Ratios first."""
    ratios = [p95(two) / p95(one) for one, two in zip(times["alone"], times["beside"], strict=True)]
    ratio = {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}
    floods = sorted(counts.answered.values())
    return {
        "name": "fairness",
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "ratios": [
            {"name": "light client's p95, beside two that flood / alone", "bar": f"<= {BAR:g}", **ratio}
        ],
        "figures": [
            {"name": f"light client's p95, {name}", "unit": "s", "runs": [p95(one) for one in runs]}
            for name, runs in times.items()
        ],
        "flood": {
            "answered": counts.answered,
            "refused": counts.refused,
            "least / most": floods[0] / floods[-1],
        },
    }


def main() -> None:
    """Measures once and prints JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--calls", type=int, default=15, help="of the light client, each round and way")
    chosen = parser.parse_args()
    one = ("--stt-engine", "pocketsphinx", "--stt", "1", "--classification", "1", "--workers", "1")
    with running(*one) as (_, port, _):
        print(json.dumps(asyncio.run(measured(port, chosen.rounds, chosen.calls)), indent=1))


if __name__ == "__main__":
    main()
