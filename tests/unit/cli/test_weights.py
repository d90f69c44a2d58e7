"""models list and models pull, with weights in a cache of the test's own."""

from __future__ import annotations

import csv
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from earshot import weights
from earshot.cli.errors import ExitCode
from earshot.weights import Kind, Weights, checksums
from tests.unit.classification.engines import making
from tests.unit.cli.conftest import Run

CONTENT = b"these are weights"
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EARSHOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Files(http.server.BaseHTTPRequestHandler):
    """Gives the same file by every path."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture
def publisher() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _publish(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    published = Weights("minute", Kind.WHISPER, f"{url}/minute.pt", CHECKSUM)
    for module in ("catalog", "store"):
        monkeypatch.setattr(f"earshot.weights.{module}.known", lambda: (published,))
    monkeypatch.setattr(weights, "known", lambda: (published,))


def test_list_before_and_after_a_pull(
    run: Run, cache: Path, publisher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(monkeypatch, publisher)
    path = cache / "whisper" / "minute.pt"

    before = run("models", "list")
    pulled = run("models", "pull", "minute")
    after = run("models", "list", "--json")

    assert list(csv.reader(before.stdout.splitlines(), delimiter="\t")) == [["minute", "whisper", "", ""]]
    assert pulled.stdout == f"minute\twhisper\t0.0 MB\t{path}\n"
    assert json.loads(after.stdout) == [
        {"name": "minute", "kind": "whisper", "path": str(path), "bytes": 17, "checksum": CHECKSUM}
    ]
    assert path.read_bytes() == CONTENT


def test_list_has_what_a_person_copied_there(run: Run, cache: Path) -> None:
    folder = cache / "nli" / "someone--model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")

    rows = list(csv.reader(run("models", "list").stdout.splitlines(), delimiter="\t"))

    assert ["someone/model", "nli", "0.0 MB", str(folder)] in rows
    assert any(row[:3] == ["tiny", "whisper", ""] for row in rows)


def test_pull_without_a_network(run: Run, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _publish(monkeypatch, "http://127.0.0.1:1")

    result = run("models", "pull", "minute")

    assert result.exit_code == ExitCode.UNAVAILABLE
    (line,) = result.stderr.splitlines()
    assert line.startswith("earshot: cannot fetch minute")
    assert str(cache) in line


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("no such",), ExitCode.REFUSED, "no weights are called 'no such'"),
        (("some/model",), ExitCode.REFUSED, "say what kind"),
        (("tiny", "--kind", "wisper"), ExitCode.USAGE, "'wisper' is none of whisper"),
    ],
)
def test_pull_of_what_is_not_published(
    run: Run, cache: Path, arguments: tuple[str, ...], code: ExitCode, message: str
) -> None:
    result = run("models", "pull", *arguments)

    assert result.exit_code == code
    assert message in result.stderr


def test_what_is_pulled_is_made_ready_once(run: Run, cache: Path) -> None:
    """Weights that are here already, so that no hub is asked."""
    folder = making.sentence_encoder(cache / "embedding" / "someone--model")
    (folder / checksums.SUMS).write_text(checksums.listing(folder))
    pull = ("models", "pull", "someone/model", "--kind", "embedding")

    first = run(*pull)
    (made,) = (cache / "onnx").glob("*/model.onnx")
    written = made.stat().st_mtime_ns
    again = run(*pull)

    assert (first.exit_code, first.stderr) == (again.exit_code, again.stderr) == (0, "")
    assert made.stat().st_mtime_ns == written


def test_what_cannot_be_made_ready_is_said_and_no_error(run: Run, cache: Path) -> None:
    folder = cache / "embedding" / "someone--model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")

    result = run("models", "pull", "someone/model", "--kind", "embedding")

    assert result.exit_code == 0
    assert result.stderr.startswith("earshot: someone/model will be served as it is: it cannot be exported")
    assert result.stdout.startswith("someone/model\tembedding")
