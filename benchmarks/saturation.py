"""The load of the benchmarks: calls by their messages, so many at a time, every answer checked.

Below ``earshot bench``: where a call is half a millisecond of work, what makes it has to be lean, as it runs
on the same cores. Threads with a plain stub cost the least of what Python offers.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from earshot.client import encoding, requests
from earshot.gen.v1 import audio_pb2, classification_pb2, speech_pb2
from earshot.stt.types import SAMPLE_RATE, Samples

RECOGNIZE = "/earshot.v1.SpeechToText/Recognize"
CLASSIFY = "/earshot.v1.ZeroShotClassifier/Classify"
PARTED = "|"  # between the labels of an answer
_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Caller:
    """One method of a service, called over and over."""

    def __init__(self, target: str, method: str, read: Callable[[bytes], str]) -> None:
        self._channel = grpc.insecure_channel(target, _OPTIONS)
        # Requests are bytes already; a status other than OK raises grpc.RpcError.
        self._call: Any = self._channel.unary_unary(method, None, read)

    def run(
        self, requests: Sequence[bytes], expected: Sequence[str] | None, count: int, at_a_time: int
    ) -> list[str]:
        """``count`` calls with the requests in turn; raises AssertionError where they say something else."""
        numbers, guard = itertools.count(), threading.Lock()

        def caller(_: int) -> list[tuple[int, str]]:
            said: list[tuple[int, str]] = []
            while True:
                with guard:
                    number = next(numbers)
                if number >= count:
                    return said
                at = number % len(requests)
                said.append((at, self._call(requests[at], timeout=600, wait_for_ready=True)))

        with ThreadPoolExecutor(at_a_time) as pool:
            found = list(itertools.chain.from_iterable(pool.map(caller, range(at_a_time))))
        if expected is not None:
            check([text for _, text in found], [expected[at] for at, _ in found])
        said = dict(found)
        return [said[at] for at in sorted(said)]

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()


def check(said: Sequence[str], expected: Sequence[str]) -> None:
    """Raises AssertionError where more than 2 % of the answers are not the engine's own.

    In 8 bits a text's scores depend a little on those that share its batch: a near tie may fall otherwise.
    """
    pairs = zip(PARTED.join(said).split(PARTED), PARTED.join(expected).split(PARTED), strict=True)
    same = [one == other for one, other in pairs]
    assert same.count(False) <= 0.02 * len(same), "other words than the engine's own"


def recognize(samples: Samples) -> bytes:
    """A request with raw samples."""
    explicit = audio_pb2.ExplicitDecodingConfig(
        encoding=audio_pb2.ExplicitDecodingConfig.AUDIO_ENCODING_LINEAR16,
        sample_rate_hertz=SAMPLE_RATE,
        audio_channel_count=1,
    )
    config = audio_pb2.RecognitionConfig(explicit_decoding_config=explicit)
    return speech_pb2.RecognizeRequest(config=config, content=samples.tobytes()).SerializeToString()


def recognize_opus(samples: Samples, codec: str) -> bytes:
    """A request with the same, as the client encodes it."""
    audio = encoding.load([samples.tobytes()], {"sample_rate": SAMPLE_RATE, "codec": codec}, 2**26)
    return requests.recognize(audio, {}).SerializeToString()


def classify(texts: Sequence[str], labels: Sequence[str]) -> bytes:
    """A request with texts."""
    inputs = [classification_pb2.TextInput(text=text) for text in texts]
    config = classification_pb2.ClassificationConfig(candidate_labels=labels)
    return classification_pb2.ClassifyRequest(inputs=inputs, config=config).SerializeToString()


def words(content: bytes) -> str:
    """What was heard."""
    results = speech_pb2.RecognizeResponse.FromString(content).results
    return " ".join(one.alternatives[0].transcript.strip() for one in results if one.alternatives)


def best_labels(content: bytes) -> str:
    """The best label of each text."""
    results = classification_pb2.ClassifyResponse.FromString(content).results
    return PARTED.join(one.labels[0].label for one in results)
