"""What other programs import to talk to Earshot: :class:`Client` and :class:`AsyncClient`.

    with Client("localhost:8080") as client:
        print(client.recognize("call.wav").text)
        print(client.classify("my card is stuck", ["card not working", "lost card"]).best)

All that goes wrong is an :class:`EarshotError`; the tree is in :mod:`earshot.errors`.
"""

from earshot.client.aio import AsyncClient
from earshot.client.options import ClassifyOptions, ClassifySpeechOptions, Encoding, RecognizeOptions
from earshot.client.requests import Text
from earshot.client.results import (
    Classification,
    Classifications,
    LabelScore,
    Latency,
    Limits,
    Model,
    Models,
    Recognition,
    Segment,
    SpeechClassification,
    Word,
)
from earshot.client.retry import RetryPolicy
from earshot.client.sources import AsyncSource, Source
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
    "CancelledError",
    "Classification",
    "Classifications",
    "ClassifyOptions",
    "ClassifySpeechOptions",
    "Client",
    "DeadlineExceededError",
    "EarshotError",
    "Encoding",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "LabelScore",
    "Latency",
    "Limits",
    "Model",
    "Models",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "QuotaExceededError",
    "Recognition",
    "RecognizeOptions",
    "ResourceExhaustedError",
    "RetryPolicy",
    "Segment",
    "Source",
    "SpeechClassification",
    "Text",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "Word",
]
