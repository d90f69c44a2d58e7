"""Weights from elsewhere and a GPU, in a release under a name of its own that web pages may call."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.client import Client
from tests.cluster.access import explained, forwarded, status
from tests.cluster.conftest import IMAGE, SMALL
from tests.cluster.kube import Document, Namespace, Release, until
from tests.cluster.weights import REPOSITORY, address_for, claim, converted, corrupt, hub

Figure = Callable[[str], None]
PAGE = "https://app.example"
WORDS = "zero five six two"
WORDS_SECONDS = 5.8  # of the recording
OWN: Document = {"nameOverride": "voice", "fullnameOverride": "speech"}


@pytest.fixture(scope="module")
def release(space: Namespace) -> Iterator[Release]:
    """One pod of each, so that an upgrade is over soon."""
    one = {component: SMALL[component] | {"replicas": 1} for component in SMALL}
    one["envoy"] |= {"allowedOrigins": [PAGE]}
    made = Release(space, IMAGE, one | OWN)
    made.install()
    yield made
    made.uninstall()
    assert space.leftovers() == set()


@pytest.fixture(scope="module")
def spoken(shared: Path) -> bytes:
    """Four digits, raw, 16 kHz."""
    recording = (shared / "data" / "digits" / "george.flac").read_bytes()
    samples = decode_all(recording, AudioFormat(), AudioLimits())[: int(WORDS_SECONDS * 16_000)]
    return samples.astype("<i2").tobytes()


def _heard(release: Release, spoken: bytes) -> tuple[str, str]:
    """Engine, and words, once the pod before is gone."""
    until(lambda: release.settled("stt", 1), 90, "one pod")
    with forwarded(release) as target, Client(target) as client:
        (model,) = client.list_models().speech
        answer = client.recognize(spoken, encoding="linear16", sample_rate=16_000, channels=1)
    return model.engine, answer.text.lower().strip(" .")


def _stt(release: Release, **changed: object) -> Document:
    return {"stt": release.values["stt"] | changed}


def test_a_release_by_another_name_is_found(release: Release) -> None:
    until(lambda: status(release).count("\thealthy\t") == 2, 30, "Envoy's view of two pods")
    printed = status(release)
    for component in ("stt", "classification", "envoy"):
        assert f"speech-{component}\t1\t1\t1\tready" in printed


@pytest.mark.parametrize(("origin", "allowed"), [(PAGE, PAGE), ("https://elsewhere.example", None)])
def test_web_pages_that_may_call(release: Release, origin: str, allowed: str | None) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    with forwarded(release) as target:
        url = f"http://{target}/earshot.v1.ZeroShotClassifier/Classify"
        preflight = urllib.request.Request(url, headers=asked, method="OPTIONS")
        assert _headers(preflight)["Access-Control-Allow-Origin"] == allowed


def _headers(request: urllib.request.Request) -> Message:
    """Of the answer, whatever its status."""
    try:
        with urllib.request.urlopen(request) as answer:
            headers: Message = answer.headers
    except urllib.error.HTTPError as refusal:
        with refusal:
            headers = refusal.headers
    return headers


def test_weights_from_a_claim(release: Release, shared: Path, spoken: bytes, figure: Figure) -> None:
    with claim(release.space, shared / "models") as name:
        source = {"type": "claim", "claim": {"name": name}}
        release.upgrade(
            _stt(release, engine="whisper", model="/models/whisper-digits.pt", modelSource=source)
        )
        heard = _heard(release, spoken)
        release.upgrade()
    figure(f"{heard}")
    assert heard == ("whisper", WORDS)


@pytest.fixture(scope="module")
def files(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Weights as a hub has them."""
    folder = tmp_path_factory.mktemp("digits") / "converted"
    return converted(shared / "models" / "whisper-digits.pt", folder)


def _downloaded(release: Release, url: str) -> Document:
    mirror: list[dict[str, Any]] = [{"name": "HF_ENDPOINT", "value": url}]
    source = {"type": "download"}
    return _stt(release, engine="faster-whisper", model=REPOSITORY, modelSource=source, extraEnv=mirror)


def test_weights_are_downloaded_and_checked(
    release: Release, files: dict[str, bytes], spoken: bytes, figure: Figure
) -> None:
    (pod,) = release.pods("stt")
    with hub(address_for(pod["status"]["podIP"]), files) as site:
        release.upgrade(_downloaded(release, site.url))
        heard = _heard(release, spoken)
        figure(f"{heard}")
        release.upgrade()
        corrupt(site)
        said = _refused(release, _downloaded(release, site.url), "is not what it lists")
    figure(said)
    assert heard == ("faster-whisper", WORDS)
    assert "the hub gave as model.bin is not what it lists" in said


def test_a_gpu_that_no_node_has(release: Release, figure: Figure) -> None:
    said = _refused(release, _stt(release, gpu={"enabled": True}), "nvidia.com/gpu")
    figure(said)
    assert "Unschedulable: 0/" in said
    assert "Insufficient nvidia.com/gpu" in said


def _refused(release: Release, changed: Document, words: str) -> str:
    """An upgrade that cannot work leaves the old pod serving. Gives the line of ``status`` with the words."""
    with pytest.raises(subprocess.CalledProcessError):
        release.upgrade(changed, timeout="5s")
    line = explained(release, words)
    assert "\nspeech-stt\t1\t1\t1\t" in status(release), "the old pod serves"
    release.upgrade()
    return line
