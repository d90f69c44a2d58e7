"""Folders from a hub on this machine, found by ``HF_ENDPOINT`` as a mirror would be."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.weights.conftest import Page, Site

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NLI = {
    "README.md": b"# a model",
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b"{}",
    "vocab.txt": b"a\nb\n",
    "model.safetensors": b"safe" * 50_000,
    "pytorch_model.bin": b"pickled" * 1_000,
    "tf_model.h5": b"tensorflow",
    "flax_model.msgpack": b"flax",
    "rust_model.ot": b"rust",
    "onnx/model.onnx": b"onnx",
    "onnx/model.safetensors": b"copy",
    "1_Pooling/config.json": b'{"mean": true}',
}
CTRANSLATE2 = {
    "config.json": b"{}",
    "model.bin": b"binary" * 1_000,
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a\n",
    "README.md": b"# a model",
}
PULL = """
import json, sys, pathlib
from earshot import errors, weights
try:
    found = weights.pull(sys.argv[1], weights.Kind(sys.argv[2]), cache=pathlib.Path(sys.argv[3]),
                         progress=lambda done, total: print(json.dumps([done, total])))
    print(json.dumps({"path": str(found.path), "checksum": found.checksum}))
except errors.EarshotError as error:
    print(json.dumps({"error": type(error).__name__, "reason": error.reason, "message": error.message}))
"""


def publish(site: Site, repository: str, files: dict[str, bytes]) -> None:
    """As the hub answers: large files with their SHA-256, all of one commit."""
    siblings = []
    for name, body in files.items():
        digest = hashlib.sha256(body).hexdigest()
        large = name.endswith((".safetensors", ".bin"))
        lfs = {"lfs": {"size": len(body), "sha256": digest, "pointerSize": 100}} if large else {}
        siblings.append({"rfilename": name, "size": len(body), "blobId": digest[:40], **lfs})
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest}"'}
        site.pages[f"/{repository}/resolve/{COMMIT}/{name}"] = Page(body, headers)
    info = {"id": repository, "sha": COMMIT, "siblings": siblings}
    site.pages[f"/api/models/{repository}"] = Page(
        json.dumps(info).encode(), {"Content-Type": "application/json"}
    )


def pull(url: str, repository: str, kind: str, cache: Path) -> list[dict[str, str] | list[int]]:
    """What a process prints that pulls from the hub at ``url``."""
    environment = os.environ | {
        "HF_ENDPOINT": url,
        "HF_HOME": str(cache / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", PULL, repository, kind, str(cache)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_one_form_of_the_weights_comes_with_what_reads_it(site: Site, tmp_path: Path) -> None:
    publish(site, "someone/nli", NLI)
    *progress, found = pull(site.url, "someone/nli", "nli", tmp_path)
    assert isinstance(found, dict)
    folder = tmp_path / "nli" / "someone--nli"
    assert found["path"] == str(folder)
    got = files_in(folder)
    sums = got.pop("SHA256SUMS")
    wanted = {"config.json", "tokenizer.json", "vocab.txt", "model.safetensors", "1_Pooling/config.json"}
    assert got == {name: NLI[name] for name in wanted}
    assert found["checksum"] == f"sha256:{hashlib.sha256(sums).hexdigest()}"
    total = sum(len(NLI[name]) for name in wanted)
    assert progress[-1] == [total, total]


def test_pickled_weights_only_where_there_are_no_others(site: Site, tmp_path: Path) -> None:
    publish(site, "someone/old", {name: body for name, body in NLI.items() if name != "model.safetensors"})
    pull(site.url, "someone/old", "embedding", tmp_path)
    got = files_in(tmp_path / "embedding" / "someone--old")
    assert "pytorch_model.bin" in got
    assert not any("onnx" in name for name in got)


def test_ctranslate2_has_files_of_its_own(site: Site, tmp_path: Path) -> None:
    publish(site, "someone/fast", CTRANSLATE2)
    pull(site.url, "someone/fast", "faster-whisper", tmp_path)
    got = files_in(tmp_path / "faster-whisper" / "someone--fast")
    assert set(got) == set(CTRANSLATE2) - {"README.md"} | {"SHA256SUMS"}


def test_weights_of_another_kind_are_refused(site: Site, tmp_path: Path) -> None:
    publish(site, "someone/fast", CTRANSLATE2)
    (answer,) = pull(site.url, "someone/fast", "nli", tmp_path)
    assert isinstance(answer, dict)
    assert (answer["error"], answer["reason"]) == ("InvalidArgumentError", "KIND_MISMATCH")
    assert files_in(tmp_path / "nli").keys() == {".someone--fast.lock"}


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_download_cut_off_leaves_nothing(site: Site, tmp_path: Path, name: str) -> None:
    publish(site, "someone/nli", NLI)
    site.pages[f"/someone/nli/resolve/{COMMIT}/{name}"].sent = 10
    answer = pull(site.url, "someone/nli", "nli", tmp_path)[-1]
    assert isinstance(answer, dict)
    assert answer["error"] == "UnavailableError"
    assert str(tmp_path / "nli" / "someone--nli") in answer["message"]
    assert files_in(tmp_path / "nli").keys() == {".someone--nli.lock"}


def test_weights_that_are_not_what_the_hub_lists_are_refused(site: Site, tmp_path: Path) -> None:
    publish(site, "someone/nli", NLI)
    page = site.pages[f"/someone/nli/resolve/{COMMIT}/model.safetensors"]
    page.body = b"SAFE" + page.body[4:]
    answer = pull(site.url, "someone/nli", "nli", tmp_path)[-1]
    assert isinstance(answer, dict)
    assert (answer["error"], answer["reason"]) == ("UnavailableError", "CHECKSUM_MISMATCH")
    assert files_in(tmp_path / "nli").keys() == {".someone--nli.lock"}


def test_a_repository_that_is_not_there(site: Site, tmp_path: Path) -> None:
    site.pages["/api/models/someone/gone"] = Page(
        b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, status=404
    )
    (answer,) = pull(site.url, "someone/gone", "nli", tmp_path)
    assert isinstance(answer, dict)
    assert answer["error"] == "NotFoundError"
    assert "HF_TOKEN" in answer["message"]


def test_without_a_network_it_says_what_to_do(nobody: str, tmp_path: Path) -> None:
    (answer,) = pull(nobody, "someone/nli", "nli", tmp_path)
    assert isinstance(answer, dict)
    assert (answer["error"], answer["reason"]) == ("UnavailableError", "NO_NETWORK")
    for part in ("HF_ENDPOINT", "https://huggingface.co/someone/nli", str(tmp_path / "nli" / "someone--nli")):
        assert part in answer["message"]
