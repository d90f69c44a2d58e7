"""Where a stream of scored speech stands, as its resume token says it to the replica that goes on with it."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from earshot.gen.v1 import classification_pb2
from earshot.quotas.tab import new_stream
from earshot.runtime.seals import Seals

TOKEN_FIELD: Final = "streaming_config.resume_token"  # noqa: S105 - a path


class Position(msgspec.Struct, frozen=True):
    """All that another replica must know."""

    config: bytes = b""  # digest of the stream's config; labels may change
    heard: str = ""  # the speech-to-text service's own token
    conversation: str = ""  # the end of what was said
    stream: str = ""  # the name by which it is charged
    characters: int = 0  # that it has been charged for


def digest(config: classification_pb2.StreamingClassifySpeechConfig) -> bytes:
    """Of all that must stay as it is over a stream's connections."""
    lasting = classification_pb2.StreamingClassifySpeechConfig()
    lasting.recognition_config.CopyFrom(config.recognition_config)
    lasting.streaming_features.CopyFrom(config.streaming_features)
    return hashlib.blake2b(lasting.SerializeToString(deterministic=True), digest_size=8).digest()


def opened(config: classification_pb2.StreamingClassifySpeechConfig, seals: Seals[Position]) -> Position:
    """Where the stream of ``config`` goes on; its beginning where it has no token.

    Raises ``InvalidArgumentError`` for a token that does not hold, or that is another stream's.
    """
    expected = digest(config)
    if not config.resume_token:
        return Position(config=expected, stream=new_stream())
    position = seals.open(config.resume_token)
    if position.config != expected:
        raise seals.refused("OTHER_CONFIG", "is for another config: send the one that the stream began with")
    return position
