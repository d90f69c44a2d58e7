"""``earshot cluster forward``: connections through the API server, and what happens when pods go."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from earshot import errors
from earshot.cli.errors import ExitCode
from earshot.cluster.connection import connect
from earshot.cluster.forwarding import Forwarder, Route
from earshot.cluster.release import Release
from earshot.cluster.tunnels import dial, fetch, quiet
from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.local.ports import free_ports
from tests.rpc.client.scripted import Answer, Script, served
from tests.unit.cluster.api_server import Content
from tests.unit.cluster.conftest import Run, http_server, write_kubeconfig
from tests.unit.cluster.objects import RELEASE, deployment, pod

MEBIBYTE = 1 << 20


class _Echo(socketserver.BaseRequestHandler):
    """Says its name, then what it hears."""

    name: bytes

    def handle(self) -> None:
        self.request.sendall(self.name)
        while data := self.request.recv(65_536):
            self.request.sendall(data)


@contextmanager
def echo(name: str) -> Iterator[int]:
    handler = type("Echo", (_Echo,), {"name": name.encode()})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def edges(content: Content, release: Release) -> Iterator[Content]:
    """Two Envoy pods, which say who they are."""
    content.deployments = [deployment("envoy")]
    content.pods = [pod("edge-1", "envoy"), pod("edge-2", "envoy")]
    with echo("edge-1") as first, echo("edge-2") as second:
        content.ports = {("edge-1", 8080): first, ("edge-2", 8080): second}
        yield content


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def port(edges: Content, release: Release, told: list[str]) -> Iterator[int]:
    forwarder = Forwarder(0, Route(release, told.append), told.append)
    with quiet(), forwarder, forwarder.serving():
        yield forwarder.server_address[1]


@contextmanager
def connected(port: int, to: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        assert _read(connection, len(to)) == to.encode()
        yield connection


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (block := connection.recv(size - len(data))):
        data += block
    return data


def test_many_connections_at_once_carry_much_both_ways(port: int) -> None:
    payloads = [os.urandom(MEBIBYTE) for _ in range(8)]
    heard: list[bytes] = [b""] * len(payloads)

    def talk(index: int) -> None:
        with connected(port, "edge-1") as connection:
            sender = threading.Thread(target=connection.sendall, args=(payloads[index],))
            sender.start()
            heard[index] = _read(connection, MEBIBYTE)
            sender.join()

    threads = [threading.Thread(target=talk, args=(index,)) for index in range(len(payloads))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert heard == payloads


def test_new_connections_go_to_another_pod_when_theirs_leaves(
    port: int, edges: Content, told: list[str]
) -> None:
    with connected(port, "edge-1") as old:
        edges.pods[0] = pod("edge-1", "envoy", leaving=True)
        with connected(port, "edge-2"):
            old.sendall(b"still here")
            assert _read(old, 10) == b"still here"

    assert told == ["connections go to pod edge-1", "connections go to pod edge-2"]


def test_a_pod_that_cannot_be_reached_is_passed_over(port: int, edges: Content) -> None:
    edges.refusals["pods/edge-1/portforward"] = (404, "pod edge-1 not found")

    with connected(port, "edge-2"):
        pass


def test_a_pod_that_hangs_up_without_a_word_is_passed_over_then(port: int, edges: Content) -> None:
    del edges.ports["edge-1", 8080]

    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        assert connection.recv(1) == b""
    with connected(port, "edge-2"):
        pass


def test_a_connection_waits_until_there_is_an_envoy(port: int, edges: Content, told: list[str]) -> None:
    edges.pods[:] = [pod("edge-1", "envoy", ready=False)]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        edges.pods[:] = [pod("edge-2", "envoy")]

        assert _read(connection, 6) == b"edge-2"


# The package's thread dies of it, and leaves its sockets to be closed with the rest of it.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_the_caller_hears_when_the_api_server_dies(port: int, edges: Content) -> None:
    with connected(port, "edge-1") as connection:
        edges.die()

        assert connection.recv(1) == b""


def test_no_right_to_forward_closes_the_connection_and_says_why(
    port: int, edges: Content, told: list[str]
) -> None:
    edges.refusals["portforward"] = (403, "cannot create pods/portforward")

    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        assert connection.recv(1) == b""

    assert told == ["a connection was closed: context 'test' lacks a right: cannot create pods/portforward"]


def test_fetch_refuses_what_is_not_200(content: Content, release: Release) -> None:
    content.pods = [pod("edge-1", "envoy")]
    (edge,) = release.pods()
    with http_server({"/ready": "LIVE"}) as port:
        content.ports["edge-1", 9901] = port

        assert fetch(release.cluster, edge, 9901, "/ready") == "LIVE"
        with pytest.raises(errors.UnavailableError, match="port 9901 of pod edge-1 answered 404 to /nothing"):
            fetch(release.cluster, edge, 9901, "/nothing")


def test_a_dial_has_an_end(
    content: Content, release: Release, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content.pods = [pod("edge-1", "envoy")]
    (edge,) = release.pods()
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections, says nothing
        monkeypatch.setattr("earshot.cluster.tunnels.DIAL_SECONDS", 0.05)
        write_kubeconfig(kubeconfig, f"http://127.0.0.1:{mute.getsockname()[1]}")

        with pytest.raises(errors.UnavailableError, match="no way to pod edge-1"):
            dial(connect(), edge, 8080)


def test_a_port_in_use(edges: Content, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("forward", "--port", str(taken.getsockname()[1]))

    assert result.exit_code == ExitCode.FAILED
    assert "Address already in use; choose another by --port" in result.stderr
    assert result.stderr.count("\n") == 1


MODELS = (
    classification_pb2.ZeroShotClassifierListModelsResponse(),
    speech_pb2.SpeechToTextListModelsResponse(),
)
TOLD: dict[str, tuple[Sequence[Answer], int, str]] = {
    "unknown": ([errors.UnauthenticatedError("no key of ours")], ExitCode.REFUSED, ""),
    "known, for other methods": ([errors.PermissionDeniedError("not that")], ExitCode.OK, "ready"),
    "known": (MODELS, ExitCode.OK, "ready"),
}


@pytest.mark.parametrize(("answers", "code", "said"), TOLD.values(), ids=TOLD)
def test_a_key_is_tried_at_once(
    edges: Content, kubeconfig: Path, answers: Sequence[Answer], code: int, said: str
) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "earshot.cli", "cluster", "forward", "--release", RELEASE]
    environment = os.environ | {"EARSHOT_API_KEY": "mine"}
    with served(Script(deque(answers))) as script:
        edges.ports["edge-1", 8080] = int(script.target.rpartition(":")[2])
        with subprocess.Popen(
            [*command, "--port", str(port)], env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            first = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)

    assert (process.returncode, first.partition(" ")[0]) == (code, said)
    assert {call.metadata["x-api-key"] for call in script.calls} == {"mine"}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_end(
    edges: Content, kubeconfig: Path, end: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "earshot.cli", "cluster", "forward"]
    with subprocess.Popen(
        [*command, "--release", RELEASE, "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        ready = process.stdout.readline()
        with connected(port, "edge-1"):
            process.send_signal(end)
            stdout, stderr = process.communicate(timeout=30)

    assert ready == f"ready on 127.0.0.1:{port}: gRPC, gRPC-Web and JSON; Ctrl-C stops\n"
    assert (process.returncode, stdout, stderr) == (0, "stopped\n", "earshot: connections go to pod edge-1\n")
