"""Small pieces of state that callers carry for us: signed, so that they come back as they were given.

HMAC-SHA-256 (RFC 2104) over a purpose, an expiry and the content, by the first key of a ring; any key of
the ring opens, so that keys can be changed while seals are about. Signed, not encrypted: nothing goes
in that its bearer may not read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
import time
from pathlib import Path
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec

from earshot import errors
from earshot.runtime.logs import logger
from earshot.runtime.watched import Watched

_HEAD: Final = struct.Struct(">BQ")  # version, expiry in seconds since the epoch
_VERSION: Final = 1
_MAC_BYTES: Final = 32
_OTHER_VERSION: Final = "is of another version of this service: begin a new stream"
_SHORTEST_KEY: Final = 16  # characters
_Keys: TypeAlias = tuple[bytes, ...]

ContentT = TypeVar("ContentT")  # msgspec encodes it


class KeyRing:
    """Keys out of a file, one a line, the first one signs; read again when the file changes."""

    def __init__(self, file: Path | None) -> None:
        """Without a file, or while it is not there: one key of this process's own.

        Raises ``FailedPreconditionError`` for a file that is there and holds no keys.
        """
        own: _Keys = (secrets.token_bytes(_MAC_BYTES),)
        if not (file and file.exists()):
            logger().warning("resume tokens of this replica hold on no other: set EARSHOT_RESUME_KEYS_FILE")
        self._own = own
        self._kept = Watched(file, "resume keys", _parsed, meanwhile=own) if file else None

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys that hold now, the signing one first."""
        return self._kept.content if self._kept else self._own


def _parsed(text: str) -> _Keys:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or min(map(len, lines)) < _SHORTEST_KEY:
        raise ValueError(f"it must hold one key a line, each of {_SHORTEST_KEY} characters at least")
    return tuple(line.encode() for line in lines)


class Seals(Generic[ContentT]):
    """Seals and opens content of one type for one purpose."""

    def __init__(
        self, ring: KeyRing, purpose: str, content: type[ContentT], lifetime: float, field: str
    ) -> None:
        """``lifetime`` is in seconds; ``field`` is the path of the token in requests."""
        self._ring, self._purpose = ring, purpose.encode()
        self._decoder = msgspec.msgpack.Decoder(content)
        self._lifetime, self._field = lifetime, field

    def seal(self, content: ContentT) -> str:
        """``content`` as a token: URL-safe base64."""
        head = _HEAD.pack(_VERSION, int(time.time() + self._lifetime))
        signed = head + msgspec.msgpack.encode(content)
        return base64.urlsafe_b64encode(self._mac(self._ring.keys[0], signed) + signed).decode()

    def open(self, token: str) -> ContentT:
        """What was sealed. Raises ``InvalidArgumentError`` where it is malformed, forged or expired."""
        mac, signed = self._taken_apart(token)
        if not any(hmac.compare_digest(mac, self._mac(key, signed)) for key in self._ring.keys):
            raise self.refused("FORGED", "is not one of this service's: it was changed, or its key is gone")
        version, expiry = _HEAD.unpack_from(signed)
        if version != _VERSION:
            raise self.refused("MALFORMED", _OTHER_VERSION)
        if expiry < time.time():
            raise self.refused("EXPIRED", "has expired: begin a new stream")
        return self._decoded(signed[_HEAD.size :])

    def _decoded(self, content: bytes) -> ContentT:
        try:
            return self._decoder.decode(content)
        except msgspec.DecodeError:
            raise self.refused(
                "MALFORMED", "is of another version of this service: begin a new stream"
            ) from None

    def _taken_apart(self, token: str) -> tuple[bytes, bytes]:
        try:
            data = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if len(data) < _MAC_BYTES + _HEAD.size:
            raise self.refused("MALFORMED", "is no token: send the last one as it came")
        return data[:_MAC_BYTES], data[_MAC_BYTES:]

    def _mac(self, key: bytes, signed: bytes) -> bytes:
        return hmac.digest(key, self._purpose + b"\x00" + signed, hashlib.sha256)

    def refused(self, reason: str, message: str) -> errors.InvalidArgumentError:
        """The error of a token that cannot be used, for which ``message`` goes on to say why."""
        return errors.InvalidArgumentError(
            f"the resume token {message}", reason=f"RESUME_TOKEN_{reason}", field=self._field
        )
