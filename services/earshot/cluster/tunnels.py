"""Ways into a pod through the API server: its ports, those on loopback too, without ``kubectl``.

A tunnel is one WebSocket to the API server, which the kubelet joins to one connection inside the
pod (the ``portforward`` subresource). A thread of the ``kubernetes`` package copies between it and
a socket pair, whose other end is ours.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Final, Self

from kubernetes import client
from kubernetes.stream import portforward

from earshot import errors
from earshot.cluster.connection import Cluster, Object
from earshot.cluster.pods import Pod

DIAL_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 10.0
_THREADS: Final = "Kubernetes port forward proxy"


class Tunnel:
    """One connection to a port of a pod. ``socket`` is our end of it."""

    def __init__(self, forward: Object, port: int) -> None:
        # The socket pair's other end is held by the package's thread alone: should that die, it
        # closes, and whoever reads ours sees the end.
        self.socket: socket.socket = forward.socket(port)._socket  # noqa: SLF001 - the real one, within a wrapper
        self._websocket = forward.websocket

    def close(self) -> None:
        """Ends it; the pod hears of it soon."""
        self.socket.close()
        if not self._websocket.connected:
            self._websocket.shutdown()  # the package forgets to where the pod ended first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def dial(cluster: Cluster, pod: Pod, port: int) -> Tunnel:
    """A connection to a port of a pod; the caller closes it.

    That nobody listens there shows only in that it ends at once.

    Raises:
        PermissionDeniedError: this user may not forward ports.
        UnavailableError: there is no way there now, or it took longer than ``DIAL_SECONDS``.
    """
    dialled: Future[Tunnel] = Future()
    threading.Thread(target=_dial, args=(cluster, pod, port, dialled), daemon=True).start()
    try:
        return dialled.result(DIAL_SECONDS)
    except TimeoutError as exc:
        dialled.add_done_callback(_close)
        raise errors.UnavailableError(f"no way to pod {pod.name} within {DIAL_SECONDS:.0f} s") from exc


def fetch(cluster: Cluster, pod: Pod, port: int, path: str) -> str:
    """The body of a 200 answer to a GET.

    Raises:
        PermissionDeniedError: this user may not forward ports.
        UnavailableError: nobody answered, or the answer was not 200.
    """
    place = f"port {port} of pod {pod.name}"
    with dial(cluster, pod, port) as tunnel:
        tunnel.socket.settimeout(_ANSWER_SECONDS)
        connection = HTTPConnection("localhost")
        connection.sock = tunnel.socket
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
        except (OSError, HTTPException) as exc:
            raise errors.UnavailableError(f"no answer from {place}: {exc or type(exc).__name__}") from exc
    if answer.status != 200:
        raise errors.UnavailableError(f"{place} answered {answer.status} to {path}")
    return body


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, a tunnel that breaks prints no traceback: who reads its socket hears of it."""
    usual = threading.excepthook

    def hook(failure: threading.ExceptHookArgs, /) -> None:
        if not (failure.thread and failure.thread.name.startswith(_THREADS)):
            usual(failure)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = usual


def _dial(cluster: Cluster, pod: Pod, port: int, dialled: Future[Tunnel]) -> None:
    # Not the shared API object: the package changes it while it opens a WebSocket.
    core = client.CoreV1Api(client.ApiClient(cluster.configuration))
    try:
        with _reaching(pod), cluster.calling():
            method = core.connect_get_namespaced_pod_portforward
            forward = portforward(method, pod.name, pod.namespace, ports=str(port))
        dialled.set_result(Tunnel(forward, port))
    except BaseException as exc:  # it is raised where the result is waited for
        dialled.set_exception(exc)


@contextmanager
def _reaching(pod: Pod) -> Iterator[None]:
    """A pod that has gone, or that has ended, cannot be reached; nothing is wrong with the request."""
    try:
        yield
    except (errors.NotFoundError, errors.InvalidArgumentError, errors.FailedPreconditionError) as exc:
        raise errors.UnavailableError(f"no way to pod {pod.name}: {exc.message}") from exc


def _close(dialled: Future[Tunnel]) -> None:
    """Closes what came too late."""
    with suppress(Exception):
        dialled.result().close()
