"""``earshot up`` with its doors closed: real engines, TLS, API keys, and what each client may do."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from earshot import errors
from earshot.client import AsyncClient, Client
from earshot.local.security import authority
from earshot.local.state import StateFolder
from tests.envoy.test_whole import SAMPLES, Whole, earshot, up

pytestmark = pytest.mark.timeout(180)

ACCESS = """
clients: {alice: ["*"], bob: [earshot.v1.ZeroShotClassifier/*]}
rates: {all: {per_second: 100, burst: 200}}
"""
LABELS = ["history of printing", "cooking"]
CLIP = SAMPLES / "block-books.opus"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    file = tmp_path_factory.mktemp("access") / "access.yaml"
    file.write_text(ACCESS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARSHOT_CLIENTS", "alice")
        few = ("--stt", "1", "--classification", "1")
        with up("--tls", "--require-key", "--access", str(file), *few) as started:
            assert started.process.poll() is None, started.announced
            yield started


def _key(closed: Whole, client: str) -> str:
    return earshot("keys", "new", client, "--state", str(closed.state)).stdout.strip()


def _client(closed: Whole, key: str) -> Client:
    trusted = authority(StateFolder(closed.state)).read_bytes()
    return Client(closed.target, api_key=key, credentials=grpc.ssl_channel_credentials(trusted))


def test_it_says_how_to_call(closed: Whole) -> None:
    said = "".join(closed.announced)
    assert f"--ca {authority(StateFolder(closed.state))}" in said
    assert "earshot keys new NAME" in said


def test_a_clip_is_heard_and_labelled_for_who_has_a_key(closed: Whole) -> None:
    """The classification service hears by its own door, for the same client."""
    key = _key(closed, "alice")
    with _client(closed, key) as client:
        answer = client.classify_speech(CLIP, LABELS)
    assert answer.classification.best.label == LABELS[0]
    (replica,) = closed.replicas("stt")
    with urllib.request.urlopen(f"http://127.0.0.1:{replica['metrics_port']}/metrics") as page:
        figures = page.read().decode()
    assert 'client="alice"' in figures


def test_a_stream_too(closed: Whole) -> None:
    key = _key(closed, "alice")
    with _client(closed, key) as client, client.stream(CLIP, labels=LABELS) as stream:
        kinds = {type(event).__name__ for event in stream}
    assert {"Final", "Labels"} <= kinds


def test_the_command_gets_in_by_its_key(closed: Whole) -> None:
    trusted = str(authority(StateFolder(closed.state)))
    call = ("classify", "chop the onions", "--labels", "cooking,sport", "--target", closed.target)
    inside = earshot(*call, "--ca", trusted, "--api-key", _key(closed, "bob"))
    assert (inside.returncode, "cooking" in inside.stdout) == (0, True), inside.stderr
    outside = earshot(*call, "--ca", trusted, "--api-key", "earshot_wrong")
    assert outside.returncode == 4
    assert "authentication failed" in outside.stderr


def test_what_a_client_may_not_do_is_named(closed: Whole) -> None:
    client = _client(closed, _key(closed, "bob"))
    with client, pytest.raises(errors.PermissionDeniedError) as refusal:
        client.recognize(CLIP)
    assert refusal.value.message == "client bob may not call /earshot.v1.SpeechToText/Recognize"


async def test_nobody_gets_in_without(closed: Whole) -> None:
    trusted = grpc.ssl_channel_credentials(authority(StateFolder(closed.state)).read_bytes())
    async with AsyncClient(closed.target, credentials=trusted) as client:
        with pytest.raises(errors.UnauthenticatedError, match="who is calling"):
            await client.classify("a", ["b"])


def test_it_ends_and_leaves_no_key_with_others(closed: Whole) -> None:
    key = _key(closed, "alice")
    closed.process.terminate()
    assert closed.process.wait(60) == 0
    logs = "".join(file.read_text(errors="replace") for file in Path(closed.state / "logs").iterdir())
    assert key not in logs
