"""A caller that means ill: HTTP/2 frame by frame over a plain socket, as no client library would."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from google.protobuf.message import Message
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event, ResponseReceived, StreamReset, TrailersReceived
from h2.settings import SettingCodes

from tests.envoy.harness import PATIENCE

DATA, HEADERS, PRIORITY, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 4, 6, 8, 9
END_HEADERS = 0x4
STREAMING = "/earshot.v1.SpeechToText/StreamingRecognize"
UNARY = "/earshot.v1.SpeechToText/Recognize"


def frame(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    """One frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def announced(size: int) -> bytes:
    """How gRPC begins a message of so many bytes."""
    return struct.pack(">BI", 0, size)


def framed(message: Message) -> bytes:
    """``message`` as gRPC puts it on the wire."""
    data = message.SerializeToString()
    return announced(len(data)) + data


def request(path: str) -> list[tuple[str, str]]:
    """The head of a gRPC call."""
    return [
        *((":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", path)),
        *(("content-type", "application/grpc"), ("te", "trailers")),
    ]


@dataclass
class Attacker:
    """A connection, and what has come back on it: only where :meth:`until_closed` or :meth:`read` reads."""

    sock: socket.socket
    http2: H2Connection
    events: list[Event] = field(default_factory=list)
    closed: bool = False

    def send(self, data: bytes) -> bool:
        """Sends; False once the other side has closed."""
        try:
            self.sock.sendall(data)
        except OSError:
            self.closed = True
        return not self.closed

    def flush(self) -> bool:
        """Sends what the calls of ``http2`` have made."""
        return self.send(self.http2.data_to_send())

    def open(self, path: str, *, half: bool = False, more: Iterable[tuple[str, str]] = ()) -> int:
        """Begins a call, or ``half`` of its head; its stream's number."""
        if half:
            self.read()  # the settings, whose acknowledgement may not come between two halves
        stream = int(self.http2.get_next_available_stream_id())
        self.http2.send_headers(stream, [*request(path), *more])
        head = bytearray(self.http2.data_to_send())
        head[4] &= ~END_HEADERS if half else 0xFF
        self.send(bytes(head))
        return stream

    def give(self, stream: int, data: bytes, *, last: bool = False) -> bytes:
        """Sends as much of ``data`` as the other side takes; what is left. ``last``: no more will come."""
        while data and (room := self.http2.local_flow_control_window(stream)) > 0:
            part = data[: min(room, self.http2.max_outbound_frame_size)]
            data = data[len(part) :]
            self.http2.send_data(stream, part, end_stream=last and not data)
        self.flush()
        return data

    def read(self) -> bool:
        """Takes in what comes next; False where nothing will."""
        try:
            data = self.sock.recv(65_536)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return False
        self.events += self.http2.receive_data(data)
        self.flush()
        return True

    def until_closed(self) -> None:
        """Reads to the end that the other side makes; the socket's patience bounds it."""
        while self.read():
            pass

    def until(self, kind: type[Event], stream: int) -> Event:
        """The first event of ``kind`` on ``stream``."""
        while True:
            for event in self.events:
                if isinstance(event, kind) and getattr(event, "stream_id", None) == stream:
                    return event
            assert self.read(), f"closed before {kind.__name__}"

    def ended(self, stream: int) -> str:
        """How the call ended: "status 200 grpc 4 why", "reset 7", "closed"."""
        while True:
            for event in self.events:
                if isinstance(event, StreamReset) and event.stream_id == stream:
                    return f"reset {int(event.error_code or 0)}"
                if isinstance(event, ResponseReceived) and event.stream_id == stream:
                    headers = {_text(name): _text(value) for name, value in event.headers or ()}
                    said = (headers.get(name, "") for name in ("grpc-status", "grpc-message"))
                    return f"status {headers[':status']} grpc {' '.join(said)}".strip()
                if isinstance(event, ConnectionTerminated):
                    return f"goaway {int(event.error_code or 0)}"
            if not self.read():
                return "closed"

    def answered(self, stream: int) -> bool:
        """Whether an answer has begun, by what has been read."""
        return any(isinstance(event, ResponseReceived) for event in self._of(stream))

    def end(self, stream: int) -> str:
        """As :meth:`ended`, of a gRPC call, by what has been read; empty: it goes on."""
        for event in self._of(stream):
            if isinstance(event, StreamReset):
                return f"reset {int(event.error_code or 0)}"
            if isinstance(event, ResponseReceived | TrailersReceived):
                headers = {_text(name): _text(value) for name, value in event.headers or ()}
                if "grpc-status" in headers:
                    return f"grpc {headers['grpc-status']} {headers.get('grpc-message', '')}".strip()
        return "closed" if self.closed else ""

    def _of(self, stream: int) -> Iterator[Event]:
        return (event for event in self.events if getattr(event, "stream_id", None) == stream)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


@contextmanager
def attacker(port: int, *, window: int | None = None, source: str = "127.0.0.1") -> Iterator[Attacker]:
    """A connection that has said hello; ``window``: the bytes that it would take of an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(source, 0)) as sock:
        # Nothing is checked on the way out: that is what the other side has to do.
        config = H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False
        )
        http2 = H2Connection(config)
        http2.initiate_connection()
        if window is not None:
            http2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        made = Attacker(sock, http2)
        made.flush()
        yield made
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
