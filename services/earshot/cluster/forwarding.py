"""A port of this machine that leads to an Envoy of a release."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from typing import Final

from earshot import errors
from earshot.cluster.components import Component
from earshot.cluster.pods import Pod
from earshot.cluster.release import Release
from earshot.cluster.tunnels import Tunnel, dial

LOOPBACK: Final = "127.0.0.1"
_PATIENCE: Final = 15.0  # seconds that a new connection waits for an Envoy to be there
_PAUSE: Final = 0.5
_LOOK: Final = 0.1  # seconds between two looks whether it is over
_DISTRUST: Final = 5.0  # seconds for which a pod that did not answer is asked last
_BLOCK: Final = 64 * 1024  # bytes

Tell = Callable[[str], None]


class Route:
    """Which Envoy new connections go to: one of them as long as it serves, then another."""

    def __init__(self, release: Release, tell: Tell) -> None:
        self._release, self._tell = release, tell
        self._lock = Lock()
        self._current = ""
        self._distrusted: dict[str, float] = {}  # until when

    def connect(self) -> tuple[Tunnel, str]:
        """A connection, and the name of the pod to which it goes.

        Raises:
            PermissionDeniedError: this user may not forward ports.
            UnavailableError: no Envoy could be reached for a while.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._attempt()
            except errors.UnavailableError as exc:
                if time.monotonic() >= deadline:
                    raise
                self._tell_once(exc.message)
            time.sleep(_PAUSE)

    def distrust(self, pod: str) -> None:
        """It hung up without a word: it is dying, and the API server does not know yet."""
        self._distrusted[pod] = time.monotonic() + _DISTRUST

    def _attempt(self) -> tuple[Tunnel, str]:
        reasons = "no Envoy pod is ready"
        for pod in self._candidates():
            try:
                connection = dial(self._release.cluster, pod, pod.ports["edge"])
            except errors.UnavailableError as exc:
                reasons = exc.message
                self.distrust(pod.name)
            else:
                self._arrived(pod.name)
                return connection, pod.name
        raise errors.UnavailableError(reasons)

    def _candidates(self) -> list[Pod]:
        pods = [each for each in self._release.pods(Component.ENVOY) if each.serving and "edge" in each.ports]
        now = time.monotonic()
        return sorted(
            pods, key=lambda pod: (self._distrusted.get(pod.name, 0.0) > now, pod.name != self._current)
        )

    def _arrived(self, pod: str) -> None:
        with self._lock:
            news, self._current = pod != self._current, pod
        if news:
            self._tell(f"connections go to pod {pod}")

    def _tell_once(self, reason: str) -> None:
        with self._lock:
            news, self._current = self._current != "", ""
        if news:
            self._tell(f"waiting for another Envoy: {reason}")


class Forwarder(ThreadingTCPServer):
    """Listens on loopback; every connection gets a tunnel of its own, while it is ``serving``."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, route: Route, tell: Tell) -> None:
        """Listens from now on.

        Raises:
            FailedPreconditionError: the port is in use, or not for this user.
        """
        self.route, self.tell = route, tell
        try:
            super().__init__((LOOPBACK, port), _Connection)
        except OSError as exc:
            raise errors.FailedPreconditionError(
                f"cannot listen on port {port}: {exc.strerror}; choose another by --port"
            ) from exc

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serves, in a thread of its own, for so long."""
        thread = Thread(target=self.serve_forever, args=(_LOOK,))
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()


class _Connection(BaseRequestHandler):
    server: Forwarder
    request: socket.socket

    def handle(self) -> None:
        route = self.server.route
        try:
            tunnel, pod = route.connect()
        except errors.EarshotError as exc:
            self.server.tell(f"a connection was closed: {exc.message}")
            return
        with tunnel:
            join(self.request, tunnel.socket, lambda: route.distrust(pod))


def join(client: socket.socket, tunnel: socket.socket, silent: Callable[[], None]) -> None:
    """Copies both ways until one side ends, and ends the other.

    ``silent`` is called before the client hears of it, where the pod hung up and had not said a word.
    """
    upwards = Thread(target=_send, args=(client, tunnel), daemon=True)
    upwards.start()
    if not _copy(tunnel, client) and upwards.is_alive():
        silent()
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    upwards.join()
    # The thread at the other end of the tunnel may not find a closed socket when it has more to say.
    with suppress(OSError):
        while tunnel.recv(_BLOCK):
            pass


def _send(client: socket.socket, tunnel: socket.socket) -> None:
    _copy(client, tunnel)
    with suppress(OSError):
        tunnel.shutdown(socket.SHUT_WR)


def _copy(source: socket.socket, sink: socket.socket) -> int:
    """Until the source ends or the sink takes no more; the number of bytes."""
    count = 0
    with suppress(OSError):
        while block := source.recv(_BLOCK):
            sink.sendall(block)
            count += len(block)
    return count
