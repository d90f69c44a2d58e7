"""What the front process and a worker say to each other, and how it goes over their socket.

The socket is a pair of SOCK_SEQPACKET: a message is one datagram, and blobs travel beside it as
descriptors (SCM_RIGHTS). A message too long for a datagram goes as a blob itself. Encoded as
MessagePack and checked against these types on arrival: a worker that decodes hostile audio must
not be able to make the front process run anything, so no pickle.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

import msgspec

from earshot.runtime.blobs import Blob

_INLINE_LIMIT = 32 * 1024  # well below the smallest usual socket buffer
_MAX_FDS = 250  # the kernel's SCM_MAX_FD is 253
_INLINE, _IN_BLOB = b"\x00", b"\x01"

MAX_BATCH = _MAX_FDS - 1


class TaskSpec(msgspec.Struct, frozen=True):
    """What a worker does: ``factory`` is "module:function", called with ``options``."""

    factory: str
    options: dict[str, str]


class Batch(msgspec.Struct, frozen=True):
    """Jobs for a worker; ``blobs[i]`` says whether job i has a blob, in the descriptors' order."""

    number: int
    bodies: list[bytes]
    blobs: list[bool]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The task is loaded and warmed up; ``info`` is for who asked for it."""

    info: bytes


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The task could not be made."""

    error: ErrorParts


class ErrorParts(msgspec.Struct, frozen=True):
    """An :class:`earshot.errors.EarshotError`, by the name of its class."""

    kind: str
    message: str
    reason: str = ""
    field: str = ""


class Success(msgspec.Struct, frozen=True, tag="success"):
    """A job's result; ``blob`` says whether a descriptor comes with it."""

    body: bytes
    seconds: float
    blob: bool = False


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """A job's error."""

    error: ErrorParts
    seconds: float


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The outcome of each job of the batch, in order."""

    number: int
    outcomes: list[Success | Failure]


FromWorker = Ready | Refused | Done


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends: the front's, and the worker's."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: msgspec.Struct, blobs: Sequence[Blob] = ()) -> None:
    """Sends ``message`` whole; the receiver gets descriptors of its own for ``blobs``.

    Raises ``OSError`` when the other side is gone, ``BlockingIOError`` when it does not read.
    """
    encoded = msgspec.msgpack.encode(message)
    fds = [blob.fd for blob in blobs]
    if len(encoded) <= _INLINE_LIMIT:
        socket.send_fds(sock, [_INLINE + encoded], fds)
        return
    with Blob.of(encoded) as spilled:
        socket.send_fds(sock, [_IN_BLOB], [spilled.fd, *fds])


def receive(sock: socket.socket) -> tuple[bytes, list[Blob]]:
    """The next message, still encoded, and its blobs.

    Raises ``EOFError`` when the other side is gone, and ``OSError`` when this process has no room for the
    blobs' descriptors: the message is lost.
    """
    try:
        data, fds, flags, _ = socket.recv_fds(sock, 1 + _INLINE_LIMIT, _MAX_FDS)
    except ConnectionError as exc:
        raise EOFError from exc
    if not data:
        raise EOFError
    blobs = [Blob(fd) for fd in fds]
    if flags & socket.MSG_CTRUNC:
        for blob in blobs:
            blob.close()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    if data[:1] == _INLINE:
        return data[1:], blobs
    with blobs.pop(0) as spilled:
        return bytes(spilled.view()), blobs
