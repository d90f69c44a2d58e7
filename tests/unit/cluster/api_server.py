"""A small API server over real HTTP: lists, logs, and port-forwards that reach servers of this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.unit.cluster.objects import NAMESPACE

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_LISTS: Final = {
    f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments": "deployments",
    f"/api/v1/namespaces/{NAMESPACE}/pods": "pods",
    f"/api/v1/namespaces/{NAMESPACE}/secrets": "secrets",
    f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers": "autoscalers",
}


@dataclass
class Content:
    """What the cluster holds; a test may change it while the server runs."""

    deployments: list[Any] = field(default_factory=list)
    pods: list[Any] = field(default_factory=list)
    autoscalers: list[Any] = field(default_factory=list)
    secrets: list[Any] = field(default_factory=list)
    logs: dict[tuple[str, str, bool], str] = field(default_factory=dict)  # by pod, container, previous run
    ports: dict[tuple[str, int], int] = field(default_factory=dict)  # a pod's port: a port of this machine
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)  # by a part of the path
    asked: list[str] = field(default_factory=list)
    dead: bool = False
    tunnels: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def die(self) -> None:
        """The tunnels break off: a reset, and no farewell."""
        self.dead = True
        for connection, backend in self.tunnels:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            backend.shutdown(socket.SHUT_RDWR)
            connection.shutdown(socket.SHUT_RD)


@contextmanager
def serving(content: Content) -> Iterator[int]:
    """The port of a server that answers out of ``content``."""
    handler = type("Handler", (_Handler,), {"content": content})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    content: Content
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Says nothing."""

    def do_GET(self) -> None:
        content, url = self.content, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        content.asked.append(self.path)
        refusal = next((each for part, each in content.refusals.items() if part in url.path), None)
        if refusal:
            self._refuse(*refusal)
        elif url.path in _LISTS:
            self._list(getattr(content, _LISTS[url.path]), query.get("labelSelector", ""))
        elif url.path.endswith("/log"):
            self._log(url.path.split("/")[-2], query)
        elif url.path.endswith("/portforward"):
            self._forward(url.path.split("/")[-2], int(query["ports"]))
        else:
            self._refuse(404, f"{url.path} not found")

    def _list(self, items: list[Any], selector: str) -> None:
        chosen = [each for each in items if _selected(each["metadata"].get("labels", {}), selector)]
        self._answer(200, {"items": chosen, "metadata": {}})

    def _log(self, pod: str, query: dict[str, str]) -> None:
        key = (pod, query["container"], query.get("previous") == "true")
        if key not in self.content.logs:
            self._refuse(400, f"container {key[1]!r} in pod {pod!r} is waiting to start")
            return
        lines = self.content.logs[key].splitlines()
        if query.get("timestamps") != "true":
            lines = [line.partition(" ")[2] for line in lines]
        self._answer(200, "".join(f"{line}\n" for line in lines[-int(query.get("tailLines", "0")) :]))

    def _refuse(self, code: int, message: str) -> None:
        # An empty message stands for something that is no API server.
        body = {"kind": "Status", "status": "Failure", "message": message} if message else "<html>who?</html>"
        self._answer(code, body)

    def _answer(self, code: int, body: object) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json" if not isinstance(body, str) else "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")  # no thread is to outlive its call
        self.end_headers()
        self.wfile.write(data)

    def _forward(self, pod: str, port: int) -> None:
        self.close_connection = True
        key = base64.b64encode(hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + _GUID).digest())
        self.send_response(101)
        for name, value in (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", key.decode()),
            ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"),
        ):
            self.send_header(name, value)
        self.end_headers()
        for channel in (0, 1):
            self._frame(bytes((channel,)) + struct.pack("<H", port))
        target = self.content.ports.get((pod, port))
        if target is None:
            self._frame(b"\x01nobody listens there")
            self._read_frame()  # its farewell
            return
        with socket.create_connection(("127.0.0.1", target)) as backend:
            self.content.tunnels.append((self.connection, backend))
            down = threading.Thread(target=self._down, args=(backend,), daemon=True)
            down.start()
            self._up(backend)
            with suppress(OSError):
                backend.shutdown(socket.SHUT_RDWR)
            down.join()

    def _down(self, backend: socket.socket) -> None:
        with suppress(OSError):
            while data := backend.recv(32_768):
                self._frame(b"\x00" + data)
        if not self.content.dead:
            with suppress(OSError):
                self._frame(b"", opcode=8)
                self.connection.shutdown(socket.SHUT_WR)

    def _up(self, backend: socket.socket) -> None:
        with suppress(OSError, struct.error):
            while (data := self._read_frame()) is not None:
                if data[:1] == b"\x00":
                    backend.sendall(data[1:])

    def _frame(self, data: bytes, opcode: int = 2) -> None:
        size = len(data)
        head = bytes((0x80 | opcode, size)) if size < 126 else struct.pack(">BBH", 0x80 | opcode, 126, size)
        self.wfile.write(head + data)

    def _read_frame(self) -> bytes | None:
        first, second = struct.unpack("BB", self.rfile.read(2))
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self.rfile.read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.rfile.read(8))
        mask, data = self.rfile.read(4), self.rfile.read(size)
        if first & 0x0F == 8:
            return None
        return bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


def _selected(labels: dict[str, str], selector: str) -> bool:
    """Selectors of the forms ``a=b`` and ``a in (b,c)``; an empty one takes all."""
    if not selector:
        return True
    for term in selector.replace("(", "").replace(")", "").replace(" in ", "~").split(",app."):
        name, _, values = term.removeprefix("app.").replace("~", "=").partition("=")
        if labels.get(f"app.{name}") not in values.split(","):
            return False
    return True
