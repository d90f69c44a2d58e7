"""Weights by name in the cache, and by path."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from earshot import errors
from earshot.weights import Kind, cache_folder, cached, checksums, find, locate, resolve
from earshot.weights.store import place_of


@pytest.fixture
def checkpoint(shared: Path) -> Path:
    return shared / "models" / "whisper-digits.pt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder where the cache has it, with its checksums noted."""
    folder = tmp_path / "nli" / "someone--some-model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "1_Pooling" / "config.json").write_text('{"mean": true}')
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / checksums.SUMS).write_text(checksums.listing(folder))
    return folder


def test_a_file_is_taken_as_it_is(checkpoint: Path, tmp_path: Path) -> None:
    found = resolve(Kind.WHISPER, str(checkpoint), tmp_path)
    expected = subprocess.run(["sha256sum", checkpoint], capture_output=True, text=True, check=True)
    assert (found.path, found.name, found.kind) == (checkpoint, "whisper-digits", Kind.WHISPER)
    assert found.checksum == f"sha256:{expected.stdout.split()[0]}"
    assert found.size == checkpoint.stat().st_size


def test_a_folder_is_taken_as_it_is(folder: Path, tmp_path: Path) -> None:
    found = resolve(Kind.NLI, str(folder), tmp_path / "elsewhere")
    assert (found.path, found.name) == (folder, folder.name)
    assert found.size == sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())


def test_a_folder_by_name(folder: Path, tmp_path: Path) -> None:
    found = resolve(Kind.NLI, "someone/some-model", tmp_path)
    assert found.path == folder
    assert locate(Kind.NLI, "someone/some-model", tmp_path) == folder
    assert locate(Kind.EMBEDDING, "someone/some-model", tmp_path) is None


def test_sha256sum_checks_what_was_noted(folder: Path) -> None:
    subprocess.run(
        ["sha256sum", "--check", "--strict", checksums.SUMS], cwd=folder, check=True, capture_output=True
    )
    text = (folder / checksums.SUMS).read_text()
    assert [line.split("  ")[1] for line in text.splitlines()] == [
        "1_Pooling/config.json",
        "config.json",
        "model.safetensors",
    ]


def test_a_folder_that_was_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"wEights")
    with pytest.raises(errors.FailedPreconditionError, match="not what was published") as caught:
        resolve(Kind.NLI, "someone/some-model", tmp_path)
    assert caught.value.reason == "CHECKSUM_MISMATCH"
    assert str(folder) in caught.value.message


def test_a_folder_that_a_person_copied_serves(folder: Path, tmp_path: Path) -> None:
    (folder / checksums.SUMS).unlink()
    (folder / "model.safetensors").write_bytes(b"of one's own")
    assert resolve(Kind.NLI, "someone/some-model", tmp_path).checksum == checksums.of(folder)


def test_a_file_that_is_not_the_published_one_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    place = place_of(find("tiny.en"), tmp_path)
    place.parent.mkdir()
    shutil.copy(checkpoint, place)
    with pytest.raises(errors.FailedPreconditionError, match=r"`earshot models pull tiny\.en`") as caught:
        resolve(Kind.WHISPER, "tiny.en", tmp_path)
    assert caught.value.reason == "CHECKSUM_MISMATCH"


@pytest.mark.parametrize(
    ("kind", "model", "place", "command"),
    [
        (Kind.WHISPER, "tiny.en", "whisper/tiny.en.pt", "pull tiny.en`"),
        (Kind.WHISPER, "turbo", "whisper/large-v3-turbo.pt", "pull large-v3-turbo`"),
        (
            Kind.FASTER_WHISPER,
            "tiny.en",
            "faster-whisper/Systran--faster-whisper-tiny.en",
            "pull Systran/faster-whisper-tiny.en`",
        ),
        (Kind.NLI, "someone/else", "nli/someone--else", "pull someone/else --kind nli`"),
    ],
)
def test_what_is_missing_says_where_and_what_to_do(
    tmp_path: Path, kind: Kind, model: str, place: str, command: str
) -> None:
    with pytest.raises(errors.FailedPreconditionError) as caught:
        resolve(kind, model, tmp_path)
    assert caught.value.reason == "MODEL_NOT_PRESENT"
    assert str(tmp_path / place) in caught.value.message
    assert command in caught.value.message
    assert locate(kind, model, tmp_path) is None


def test_a_name_that_nobody_publishes(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFoundError):
        resolve(Kind.WHISPER, "huge.en", tmp_path)
    assert locate(Kind.WHISPER, "huge.en", tmp_path) is None


def test_a_name_wins_over_a_folder_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate(Kind.WHISPER, "tiny", tmp_path) is None
    assert locate(Kind.WHISPER, "./tiny", tmp_path) == Path("tiny")
    assert locate(Kind.WHISPER, "mine", tmp_path) == Path("mine")


def test_what_is_in_the_cache(folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    place = place_of(find("small.en"), tmp_path)
    place.parent.mkdir()
    shutil.copy(checkpoint, place)
    (tmp_path / "nli" / ".someone--else.part").mkdir()
    (tmp_path / "nli" / ".someone--else.lock").touch()
    first, second = cached(tmp_path)
    assert (first.name, first.kind, first.path) == ("small.en", Kind.WHISPER, place)
    assert (second.name, second.kind, second.path) == ("someone/some-model", Kind.NLI, folder)
    assert second.checksum == checksums.of(folder)
    assert (first.size, second.size) == (
        checkpoint.stat().st_size,
        resolve(Kind.NLI, str(folder), tmp_path).size,
    )


def test_an_empty_cache(tmp_path: Path) -> None:
    assert cached(tmp_path / "not there") == []


def test_the_cache_folder(tmp_path: Path) -> None:
    assert cache_folder(tmp_path) == tmp_path
    assert cache_folder("~/weights") == Path.home() / "weights"
    assert cache_folder().name == "earshot"
