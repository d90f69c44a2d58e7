"""Where a stream stands, as its resume token says it to whichever replica goes on with it."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from earshot.gen.v1 import speech_pb2
from earshot.quotas.tab import new_stream
from earshot.runtime.seals import Seals
from earshot.stt.streaming.ledger import Mark

TOKEN_FIELD: Final = "streaming_config.resume_token"  # noqa: S105 - a path


class Position(msgspec.Struct, frozen=True):
    """All that another replica must know. Positions are samples at 16 kHz."""

    config: bytes = b""  # digest of the stream's config
    model: str = ""
    origin: int = 0  # what is before it is final
    keep_from: int = 0  # words before it are final
    mark: Mark = Mark()
    finals: int = 0  # sent
    transcribed: int = 0  # samples that engines have heard
    stream: str = ""  # the name by which it is charged
    language: str = ""  # BCP-47 code of the language heard; empty: not known yet
    deaths: int = 0  # of listeners, at work on what comes after origin


def digest(config: speech_pb2.StreamingRecognitionConfig) -> bytes:
    """Of all that must stay as it is over a stream's connections."""
    lasting = speech_pb2.StreamingRecognitionConfig()
    lasting.config.CopyFrom(config.config)
    lasting.streaming_features.CopyFrom(config.streaming_features)
    encoded = lasting.SerializeToString(deterministic=True)
    return hashlib.blake2b(encoded, digest_size=8).digest()


def opened(config: speech_pb2.StreamingRecognitionConfig, model: str, seals: Seals[Position]) -> Position:
    """Where the stream of ``config`` goes on; its beginning where it has no token.

    Raises ``InvalidArgumentError`` for a token that does not hold, or that is another stream's.
    """
    expected = digest(config)
    if not config.resume_token:
        return Position(config=expected, model=model, stream=new_stream())
    position = seals.open(config.resume_token)
    if position.config != expected:
        raise seals.refused("OTHER_CONFIG", "is for another config: send the one that the stream began with")
    if position.model != model:
        raise seals.refused("OTHER_MODEL", "is of a stream that another model heard: begin a new one")
    return position
