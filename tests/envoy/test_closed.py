"""``earshot up`` with its doors closed: real engines, TLS, API keys, and what each client may do."""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import grpc
import pytest

from earshot import errors
from earshot.client import AsyncClient, Client, RetryPolicy
from earshot.local.security import authority
from earshot.local.state import StateFolder
from tests.envoy.test_whole import SAMPLES, Whole, earshot, up

pytestmark = pytest.mark.timeout(180)

ACCESS = """
clients: {alice: ["*"], bob: [earshot.v1.ZeroShotClassifier/*], carol: ["*"]}
models: {alice: ["*"], bob: [all-*], carol: [pocketsphinx-*]}
rates: {all: {per_second: 100, burst: 200}}
"""
LABELS = ["history of printing", "cooking"]
CLIP = SAMPLES / "block-books.opus"


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says who may do what."""
    file = tmp_path_factory.mktemp("access") / "access.yaml"
    file.write_text(ACCESS)
    return file


@pytest.fixture(scope="module")
def closed(access: Path) -> Iterator[Whole]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARSHOT_CLIENTS", "alice")
        few = ("--stt", "1", "--classification", "1")
        with up("--tls", "--require-key", "--access", str(access), *few) as started:
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
    assert "what was sent proves nobody" in outside.stderr


def test_what_a_client_may_not_do_is_named(closed: Whole) -> None:
    client = _client(closed, _key(closed, "bob"))
    with client, pytest.raises(errors.PermissionDeniedError) as refusal:
        client.recognize(CLIP)
    assert refusal.value.message == "client bob may not call /earshot.v1.SpeechToText/Recognize"


NOT_CAROLS = "client carol may not use model 'all-MiniLM-L6-v2'"


def test_a_client_may_use_the_models_that_it_may(closed: Whole) -> None:
    """Carol may call every method, and hear; the model that scores is not hers."""
    key = _key(closed, "carol")
    with _client(closed, key) as client:
        assert client.recognize(CLIP).text
        listed = client.list_models()
        assert ([one.name for one in listed.speech], listed.text) == (["pocketsphinx-en-us"], ())
        with pytest.raises(errors.PermissionDeniedError, match=NOT_CAROLS):
            client.classify("a", ["b"])
        with pytest.raises(errors.PermissionDeniedError, match=NOT_CAROLS):
            client.classify_speech(CLIP, LABELS)
        with (
            client.stream(CLIP, labels=LABELS) as stream,
            pytest.raises(errors.PermissionDeniedError, match=NOT_CAROLS),
        ):
            list(stream)
    status, answer = _post(closed, key, "/v1/text:classify")
    assert (status, answer["code"]) == (403, 7)
    assert NOT_CAROLS in answer["message"]


def _post(closed: Whole, key: str, path: str) -> tuple[int, dict[str, Any]]:
    context = ssl.create_default_context(cafile=str(authority(StateFolder(closed.state))))
    connection = HTTPSConnection("127.0.0.1", closed.port, context=context, timeout=60)
    try:
        body = json.dumps({"inputs": [{"text": "a"}], "config": {"candidateLabels": ["b", "c"]}})
        connection.request("POST", path, body, {"content-type": "application/json", "x-api-key": key})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_models_change_without_a_restart(closed: Whole, access: Path) -> None:
    """What cannot be read changes nothing."""
    key = _key(closed, "carol")
    pids = {replica["pid"] for replica in closed.replicas("classification")}
    for text in (ACCESS.replace("carol: [pocketsphinx-*]", "carol: [all-*]"), "models: ["):
        fresh = access.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(access)
        deadline = time.monotonic() + 60
        while (said := _post(closed, key, "/v1/text:classify"))[0] != 200:
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
    assert {replica["pid"] for replica in closed.replicas("classification")} == pids
    with (
        _client(closed, key) as client,
        pytest.raises(errors.PermissionDeniedError, match=r"model .pocketsphinx-en-us."),
    ):
        client.recognize(CLIP)


async def test_no_replica_answers_past_envoy(closed: Whole) -> None:
    """Under a name that one makes up."""
    for replica in (*closed.replicas("stt"), *closed.replicas("classification")):
        target, once = f"127.0.0.1:{replica['port']}", RetryPolicy(max_attempts=1)
        async with AsyncClient(target, metadata={"x-earshot-client": "alice"}, retry=once) as client:
            for call in (client.list_models, client.usage):
                with pytest.raises(errors.UnavailableError):
                    await call()


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
