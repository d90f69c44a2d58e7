"""Files by URL: the real checkpoint from a site on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from earshot import errors
from earshot.weights import Kind, Weights, checksums, pull
from tests.unit.weights.conftest import Page, Site


@pytest.fixture
def checkpoint(shared: Path) -> Path:
    return shared / "models" / "whisper-digits.pt"


@pytest.fixture
def published(site: Site, checkpoint: Path) -> Weights:
    digest = checksums.of_file(checkpoint)
    path = f"/{digest}/whisper-digits.pt"
    site.pages[path] = Page(checkpoint.read_bytes())
    return Weights("whisper-digits", Kind.WHISPER, site.url + path, f"sha256:{digest}")


def left_in(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_file_comes_whole(published: Weights, checkpoint: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = pull(published, cache=tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert found.path == tmp_path / "whisper" / "whisper-digits.pt"
    assert found.path.read_bytes() == checkpoint.read_bytes()
    assert found.checksum == published.checksum
    size = checkpoint.stat().st_size
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (size, size)
    assert len(seen) > 3


def test_what_is_there_is_not_fetched_again(published: Weights, site: Site, tmp_path: Path) -> None:
    first = pull(published, cache=tmp_path)
    assert pull(published, cache=tmp_path) == first
    assert len(site.asked) == 1


def test_a_file_with_another_checksum_is_refused(published: Weights, site: Site, tmp_path: Path) -> None:
    page = next(iter(site.pages.values()))
    page.body = page.body[:-1] + bytes([page.body[-1] ^ 1])
    with pytest.raises(errors.UnavailableError, match="not what was published") as caught:
        pull(published, cache=tmp_path)
    assert caught.value.reason == "CHECKSUM_MISMATCH"
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("sent", [0, 1_000_000])
def test_a_download_cut_off_is_refused(published: Weights, site: Site, tmp_path: Path, sent: int) -> None:
    page = next(iter(site.pages.values()))
    page.sent = sent
    with pytest.raises(errors.UnavailableError, match=f"cut off after {sent} of {len(page.body)}") as caught:
        pull(published, cache=tmp_path)
    assert caught.value.reason == "DOWNLOAD_CUT_OFF"
    assert left_in(tmp_path) == []
    page.sent = None
    assert pull(published, cache=tmp_path).checksum == published.checksum


def test_without_a_network_it_says_what_to_do(nobody: str, tmp_path: Path) -> None:
    weights = Weights("mine", Kind.WHISPER, f"{nobody}/mine.pt", "sha256:00")
    with pytest.raises(errors.UnavailableError) as caught:
        pull(weights, cache=tmp_path)
    assert caught.value.reason == "NO_NETWORK"
    for part in ("HTTPS_PROXY", weights.source, str(tmp_path / "whisper" / "mine.pt")):
        assert part in caught.value.message
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, errors.NotFoundError), (403, errors.UnavailableError), (503, errors.UnavailableError)],
)
def test_a_site_that_refuses(
    site: Site, tmp_path: Path, status: int, error: type[errors.EarshotError]
) -> None:
    site.pages["/mine.pt"] = Page(b"go away", status=status)
    with pytest.raises(error, match=str(status)) as caught:
        pull(Weights("mine", Kind.WHISPER, f"{site.url}/mine.pt", "sha256:00"), cache=tmp_path)
    assert type(caught.value) is error
    assert left_in(tmp_path) == []


def test_a_name_that_nobody_publishes(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFoundError):
        pull("huge.en", cache=tmp_path)


def test_two_processes_fetch_once(published: Weights, site: Site, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from earshot.weights import *;"
        "mine = Weights('whisper-digits', Kind.WHISPER, *sys.argv[1:3]);"
        "pull(mine, cache=pathlib.Path(sys.argv[3]))"
    )
    command = [sys.executable, "-c", code, published.source, published.checksum, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(site.asked) == 1
    assert len(left_in(tmp_path)) == 1
