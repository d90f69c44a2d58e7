"""A cluster that answers out of a test's hands, its kubeconfig, and the command against it."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

import pytest
import yaml
from typer.testing import CliRunner, Result

from earshot.cli.__main__ import app
from earshot.cluster.connection import connect
from earshot.cluster.release import Release
from tests.unit.cluster.api_server import Content, serving
from tests.unit.cluster.objects import NAMESPACE, RELEASE


class Run(Protocol):
    """Runs ``earshot cluster`` in this process, for the release of these tests."""

    def __call__(self, *arguments: str) -> Result: ...


@pytest.fixture
def content() -> Content:
    return Content()


@pytest.fixture
def kubeconfig(content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(threading.enumerate())
    with serving(content) as port:
        path = tmp_path / "kubeconfig"
        write_kubeconfig(path, f"http://127.0.0.1:{port}")
        monkeypatch.setenv("KUBECONFIG", str(path))
        use(monkeypatch, path)
        yield path
    _tidy_up(set(threading.enumerate()) - before)


def _tidy_up(threads: set[threading.Thread]) -> None:
    """WebSockets that broke are left to the garbage collector, which is to come now, not in another test."""
    for thread in threads:
        thread.join(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert not [thread.name for thread in threads if thread.is_alive()]


def write_kubeconfig(path: Path, server: str) -> None:
    context = {"cluster": "c", "user": "u", "namespace": NAMESPACE}
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "test",
                "contexts": [{"name": "test", "context": context}],
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {"token": "secret"}}],
            }
        )
    )


def use(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """The package reads KUBECONFIG when it is imported; a process of its own reads the variable."""
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))


@pytest.fixture
def release(kubeconfig: Path) -> Release:
    return Release(connect(), NAMESPACE, RELEASE)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["cluster", *arguments, "--release", RELEASE], prog_name="earshot")

    return call


@contextmanager
def http_server(answers: dict[str, str]) -> Iterator[int]:
    """The port of a server that gives these bodies for these paths, and 404 for others."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            """Says nothing."""

        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write((body or "").encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
