"""Audio and messages that are broken in every way, sent."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from earshot.gen.v1 import classification_pb2, speech_pb2, usage_pb2
from tests.drills.calls import calling, known
from tests.drills.drill import Drill, Form, Result
from tests.drills.figures import total
from tests.drills.living import judge as judge_living
from tests.drills.living import living
from tests.drills.stack import SERVICES, Stack
from tests.drills.streams import World, machine
from tests.fuzz.mutated import CORPUS, inputs, made

_MESSAGES, _RECORDINGS = 20_000, 5_000
_SHORT_MESSAGES, _SHORT_RECORDINGS = 400, 120
_CALLERS: Final = 4
_SLOWEST, _BUSY = 10.0, 60.0  # seconds for one call, and where nobody knows what else the machine does
_MOST_TOLD: Final = 5  # of those that ended otherwise
_ENCODINGS: Final = 10  # and none stated is the first
_RAW: Final = 4  # of them, beside that one, have no header
# What says to a caller that it has been heard, or what is wrong with it: acme's usage is acme's to see.
_CLEAR: Final = frozenset(
    {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)


@dataclass(frozen=True)
class _Sent:
    """A call, by its bytes."""

    name: str
    path: str
    messages: list[bytes]
    stream: bool


@dataclass
class _Seen:
    """What calls have ended with."""

    codes: Counter[grpc.StatusCode] = field(default_factory=Counter)
    unclear: list[str] = field(default_factory=list)


async def _run(world: World, form: Form) -> Result:
    result, stack, seen = Result(), world.stack, _Seen()
    messages = _SHORT_MESSAGES if form.short else _MESSAGES
    recordings = _SHORT_RECORDINGS if form.short else _RECORDINGS
    works = await known(stack.target)
    before, lost = await living(stack), -await _workers_lost(stack)
    async with calling(stack.target, works, callers=2) as load:
        calls = itertools.chain(_messages(messages), _recordings(recordings))
        await _all_sent(stack.target, calls, _BUSY if form.short else _SLOWEST, seen)
    lost += await _workers_lost(stack)
    judge_living(before, await living(stack), result)
    load.judge(result)
    result.counts |= {"broken messages": messages, "broken recordings": recordings, "workers lost": lost}
    _judge(seen, messages + recordings, result)
    result.must(not lost, f"{lost:.0f} workers lost")
    return result


def _judge(seen: _Seen, sent: int, result: Result) -> None:
    answered = seen.codes[grpc.StatusCode.OK]
    refused = sum(seen.codes[code] for code in _CLEAR) - answered
    result.counts |= {"answered": answered, "refused": refused, "ended otherwise": len(seen.unclear)}
    told = "; ".join(seen.unclear[:_MOST_TOLD])
    result.must(not seen.unclear, f"{len(seen.unclear)} ended otherwise ({told})")
    result.must(answered + refused + len(seen.unclear) == sent, "some have not ended")
    result.must(answered, "none was answered: they are broken too much")
    result.must(refused, "none was refused: they are not broken")


async def _workers_lost(stack: Stack) -> int:
    """Since their replicas began: what kills one is tried again, and would not show."""
    counted = [await total(await stack.replicas(name), "earshot_worker_restarts_total") for name in SERVICES]
    return int(sum(counted))


async def _all_sent(target: str, calls: Iterator[_Sent], patience: float, seen: _Seen) -> None:
    with grpc.insecure_channel(target) as channel:

        async def caller() -> None:
            for one in calls:
                code, why = await asyncio.to_thread(_send, channel, one, patience)
                seen.codes[code] += 1
                if code not in _CLEAR:
                    seen.unclear.append(f"{one.name}: {code.name} {why}")

        await asyncio.gather(*(caller() for _ in range(_CALLERS)))


def _send(channel: grpc.Channel, one: _Sent, patience: float) -> tuple[grpc.StatusCode, str]:
    """As it is: without serializers gRPC takes bytes. What it has ended with, and why."""
    try:
        if one.stream:
            for _ in channel.stream_stream(one.path)(iter(one.messages), timeout=patience):
                pass
        else:
            channel.unary_unary(one.path)(one.messages[0], timeout=patience)
    except grpc.RpcError as error:
        failed: Any = error  # and a call, which has a code
        return failed.code(), failed.details()
    return grpc.StatusCode.OK, ""


def _messages(count: int) -> Iterator[_Sent]:
    """To each method in turn, half of those in streams after a config that is none of them."""
    methods = [
        (f"/{service.full_name}/{method.name}", method)
        for module in (speech_pb2, classification_pb2, usage_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    every = inputs("messages")
    for number in range(count):
        path, method = methods[number % len(methods)]
        kind, stream = method.input_type.name, method.client_streaming
        broken = made(_kept(kind) or every, number)
        before = [_config(kind)] if stream and number % 2 else []
        yield _Sent(f"{method.name}, message {number}", path, [*before, broken], stream)


def _kept(kind: str) -> list[bytes]:
    """The messages of a kind."""
    return [path.read_bytes() for path in sorted((CORPUS / "messages").glob(f"{kind}*"))]


def _config(kind: str) -> bytes:
    return (CORPUS / "messages" / f"{kind}.config").read_bytes()


def _recordings(count: int) -> Iterator[_Sent]:
    """As clips, as clips to be scored, and as streams."""
    kept = inputs("audio")
    for number in range(count):
        first, content = _parted(made(kept, number))
        yield (_clip, _scored, _live)[number % 3](f"recording {number}", _stated(first), content)


def _parted(data: bytes) -> tuple[int, bytes]:
    """How it is said to be encoded, and the audio."""
    return (data[0] % _ENCODINGS, data[1:]) if data else (0, b"")


def _stated(encoding: int) -> Any:
    if not encoding:
        return {"auto_decoding_config": {}}
    raw = {"sample_rate_hertz": 16_000, "audio_channel_count": 1} if encoding <= _RAW else {}
    return {"explicit_decoding_config": {"encoding": encoding, **raw}}


def _clip(name: str, config: Any, content: bytes) -> _Sent:
    request = speech_pb2.RecognizeRequest(config=config, content=content)
    return _Sent(name, "/earshot.v1.SpeechToText/Recognize", [request.SerializeToString()], stream=False)


def _scored(name: str, config: Any, content: bytes) -> _Sent:
    request = classification_pb2.ClassifySpeechRequest(
        recognition_config=config,
        classification_config={"candidate_labels": ["numbers", "weather"]},
        content=content,
    )
    path = "/earshot.v1.ZeroShotClassifier/ClassifySpeech"
    return _Sent(name, path, [request.SerializeToString()], stream=False)


def _live(name: str, config: Any, content: bytes) -> _Sent:
    kind = speech_pb2.StreamingRecognizeRequest
    messages = [kind(streaming_config={"config": config})]
    messages += [
        kind(audio={"sequence_number": number, "content": piece})
        for number, piece in enumerate(_pieces(content), 1)
    ]
    encoded = [message.SerializeToString() for message in messages]
    return _Sent(name, "/earshot.v1.SpeechToText/StreamingRecognize", encoded, stream=True)


def _pieces(content: bytes, size: int = 700) -> Sequence[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


DRILL = Drill(
    "mutated_sent",
    "messages and recordings, changed at random, sent through Envoy to every method, beside calls",
    "each is answered or refused by a clear status in 10 s, no process and no worker is lost; "
    "no other call fails, no answer is wrong",
    machine,
    _run,
)
