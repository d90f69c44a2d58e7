"""What the Prometheus beside a stack is told; the stack's own test runs a real one."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from earshot import errors
from earshot.local.ports import free_ports
from earshot.local.prometheus import Prometheus, Target, rules, target
from earshot.local.state import StateFolder

# Listens where it is told, as Prometheus does, and says that it is ready.
FAKE = """#!/usr/bin/env python3
import http.server, sys
(address,) = [one.partition("=")[2] for one in sys.argv if one.startswith("--web.listen-address")]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
host, _, port = address.partition(":")
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prometheus on the PATH."""
    binary = tmp_path / "bin" / "prometheus"
    binary.parent.mkdir()
    binary.write_text(FAKE)
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(binary.parent), prepend=":")
    return binary


@pytest.fixture
def state(tmp_path: Path) -> Any:
    folder = StateFolder(tmp_path / "state")
    with folder.hold():
        yield folder


def test_without_one_on_the_path_it_says_so(state: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(errors.FailedPreconditionError, match="not on the PATH"):
        Prometheus(state, free_ports(1)[0], list)


def test_a_port_that_is_taken_is_named(state: StateFolder, on_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(errors.FailedPreconditionError, match=f"port {port} is in use"):
            Prometheus(state, port, list)


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


async def test_it_reads_the_replicas_that_there_are(state: StateFolder, on_path: Path) -> None:
    running: list[Target] = [target("stt-1", 1001)]
    prometheus = Prometheus(state, free_ports(1)[0], lambda: list(running))
    await prometheus.start()
    try:
        config = _read(state.root / "prometheus" / "prometheus.json")
        (listed,) = config["scrape_configs"][0]["file_sd_configs"][0]["files"]
        assert _read(Path(listed)) == running
        running[:] = [target("stt-1", 1002), target("envoy-1", 1003, "/stats/prometheus")]
        while _read(Path(listed)) != running:
            await asyncio.sleep(0.02)
        labels = {"namespace": "local", "pod": "earshot-envoy-1", "__metrics_path__": "/stats/prometheus"}
        assert running[1]["labels"] == labels
    finally:
        await prometheus.stop()


@pytest.fixture
def broken(on_path: Path) -> None:
    on_path.write_text("#!/bin/sh\necho wrong rules >&2\nexit 3\n")


@pytest.mark.usefixtures("broken")
async def test_one_that_dies_at_its_start_is_reported(state: StateFolder) -> None:
    prometheus = Prometheus(state, free_ports(1)[0], list)
    with pytest.raises(errors.FailedPreconditionError, match=r"exit code 3; .*wrong rules"):
        await prometheus.start()
    await prometheus.stop()


def test_its_rules_are_those_of_the_chart() -> None:
    chart = Path(__file__).parents[3] / "charts" / "earshot" / "files" / "rules.yaml"
    assert yaml.safe_load(rules().read_text()) == yaml.safe_load(chart.read_text())
