"""What other programs import to talk to Earshot: :class:`Client` and :class:`AsyncClient`.

    with Client("localhost:8080") as client:
        print(client.recognize("call.wav").text)
        print(client.classify("my card is stuck", ["card not working", "lost card"]).best)

All that goes wrong is an :class:`EarshotError`; the tree is in :mod:`earshot.errors`.
"""

from earshot.client.aio import AsyncClient
from earshot.client.options import (
    ClassifyOptions,
    ClassifySpeechOptions,
    Encoding,
    RecognizeOptions,
    StreamOptions,
)
from earshot.client.requests import Text
from earshot.client.results import (
    Classification,
    Classifications,
    LabelScore,
    Latency,
    Limits,
    Model,
    Models,
    QuotaState,
    Recognition,
    Segment,
    SpeechClassification,
    Usage,
    UsageRecord,
    Word,
)
from earshot.client.retry import RetryPolicy
from earshot.client.sources import AsyncSource, Source
from earshot.client.streaming.blocking import Stream
from earshot.client.streaming.events import (
    Event,
    Final,
    Interim,
    Labels,
    Reconnecting,
    Resumed,
    SpeechEnded,
    SpeechStarted,
    StreamResult,
    Summary,
)
from earshot.client.streaming.limit import UncommittedLimitError
from earshot.client.streaming.microphone import Microphone
from earshot.client.streaming.stream import AsyncStream
from earshot.client.sync import Client
from earshot.errors import (
    CancelledError,
    DeadlineExceededError,
    EarshotError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    QuotaExceededError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)

__all__ = [
    "AsyncClient",
    "AsyncSource",
    "AsyncStream",
    "CancelledError",
    "Classification",
    "Classifications",
    "ClassifyOptions",
    "ClassifySpeechOptions",
    "Client",
    "DeadlineExceededError",
    "EarshotError",
    "Encoding",
    "Event",
    "FailedPreconditionError",
    "Final",
    "Interim",
    "InternalError",
    "InvalidArgumentError",
    "LabelScore",
    "Labels",
    "Latency",
    "Limits",
    "Microphone",
    "Model",
    "Models",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "QuotaExceededError",
    "QuotaState",
    "Recognition",
    "RecognizeOptions",
    "Reconnecting",
    "ResourceExhaustedError",
    "Resumed",
    "RetryPolicy",
    "Segment",
    "Source",
    "SpeechClassification",
    "SpeechEnded",
    "SpeechStarted",
    "Stream",
    "StreamOptions",
    "StreamResult",
    "Summary",
    "Text",
    "UnauthenticatedError",
    "UnavailableError",
    "UncommittedLimitError",
    "UnimplementedError",
    "Usage",
    "UsageRecord",
    "Word",
]
