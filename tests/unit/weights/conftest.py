"""A site on this machine that gives files, and a hub that gives a repository."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Page:
    """What is answered to a path."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    sent: int | None = None  # bytes after which the connection breaks


@dataclass
class Site:
    """Pages by path, and what has been asked for."""

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # "METHOD path"


@contextlib.contextmanager
def serving(address: str = "127.0.0.1") -> Iterator[Site]:
    """A site on a free port of that address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = self._head()
            self.wfile.write(page.body[: page.sent])
            self.close_connection = True

        def do_HEAD(self) -> None:
            self._head()

        def _head(self) -> Page:
            path = self.path.partition("?")[0]
            found.asked.append(f"{self.command} {path}")
            page = found.pages.get(path, Page(b"no such page", status=404))
            self.send_response(page.status)
            self.send_header("Content-Length", str(len(page.body)))
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.end_headers()
            return page

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer((address, 0), Handler) as server:
        found = Site(f"http://{address}:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.fixture
def nobody() -> str:
    """A URL where nothing listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_port}"
