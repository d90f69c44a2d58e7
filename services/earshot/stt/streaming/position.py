"""Where a stream stands, as its resume token says it to whichever replica goes on with it."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from earshot import errors
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


def digest(config: speech_pb2.StreamingRecognitionConfig) -> bytes:
    """Of all that must stay as it is over a stream's connections."""
    lasting = speech_pb2.StreamingRecognitionConfig()
    lasting.config.CopyFrom(config.config)
    lasting.streaming_features.CopyFrom(config.streaming_features)
    encoded = lasting.SerializeToString(deterministic=True)
    return hashlib.blake2b(encoded, digest_size=8).digest()


def seal(position: Position, seals: Seals) -> str:
    """``position`` as a token."""
    return seals.seal(msgspec.msgpack.encode(position))


def opened(config: speech_pb2.StreamingRecognitionConfig, model: str, seals: Seals) -> Position:
    """Where the stream of ``config`` goes on; its beginning where it has no token.

    Raises ``InvalidArgumentError`` for a token that does not hold, or that is another stream's.
    """
    expected = digest(config)
    if not config.resume_token:
        return Position(config=expected, model=model, stream=new_stream())
    position = _decoded(seals.open(config.resume_token))
    if position.config != expected:
        raise _other("config", "the config is not the one that the stream began with: send the same")
    if position.model != model:
        raise _other("model", "the stream was heard by another model: begin a new one")
    return position


def _decoded(content: bytes) -> Position:
    try:
        return msgspec.msgpack.decode(content, type=Position)
    except msgspec.DecodeError:
        raise errors.InvalidArgumentError(
            "the resume token is of another version of this service: begin a new stream",
            reason="RESUME_TOKEN_MALFORMED",
            field=TOKEN_FIELD,
        ) from None


def _other(what: str, message: str) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(
        message, reason=f"RESUME_TOKEN_OTHER_{what.upper()}", field=TOKEN_FIELD
    )
