"""What the image is made of is locked by hash, and the lock is of what the package asks for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

IMAGE = REPOSITORY / "deploy" / "image"
EXTRAS = ("stt", "classification", "tracing")  # of the image
CHOSEN = {"torch", "triton"}  # at the image's build
LOCKED = re.compile(r"([A-Za-z0-9._-]+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)\n")


def _locked(name: str) -> dict[str, str]:
    """Package to release; a line that is not one with hashes fails."""
    text = (IMAGE / name).read_text()
    found = LOCKED.findall(text)
    rest = LOCKED.sub("", text)
    assert rest.strip() == "", f"{name} has lines without a release or hashes"
    return {canonicalize_name(package): release for package, release, _ in found}


def _asked(extras: tuple[str, ...]) -> Iterator[Requirement]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    for line in lines:
        requirement = Requirement(line)
        if requirement.name == "earshot":
            yield from _asked(tuple(requirement.extras))
        elif requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def test_all_that_the_image_needs_is_locked() -> None:
    locked = _locked("requirements.txt")
    wrong = [
        f"{asked}: {locked.get(canonicalize_name(asked.name), 'not locked')}"
        for asked in _asked(EXTRAS)
        if asked.name not in CHOSEN
        and not asked.specifier.contains(locked.get(canonicalize_name(asked.name), "0"), prereleases=True)
    ]
    assert not wrong, "run `make lock`"


def test_nothing_of_a_gpu_is_locked() -> None:
    """It comes with the torch that is chosen."""
    assert not [
        name for name in _locked("requirements.txt") if name in CHOSEN or name.startswith(("nvidia", "cuda"))
    ]


def test_what_builds_is_locked_too() -> None:
    locked = _locked("build.txt")
    lines = [line for line in (IMAGE / "build.in").read_text().splitlines() if not line.startswith("#")]
    assert all(Requirement(line).specifier.contains(locked[Requirement(line).name]) for line in lines)


@pytest.mark.parametrize("command", ["pip install", "pip wheel", "pip --python"])
def test_the_image_installs_nothing_that_is_not_locked(command: str) -> None:
    """By hashes, from wheels made here, or torch, which is chosen by whoever builds."""
    steps = re.sub(r"\\\n\s*", "", Path(REPOSITORY / "Dockerfile").read_text())
    lines = [part for line in steps.splitlines() for part in line.split("&&") if command in part]
    assert lines
    for line in lines:
        local = "--no-index" in line or line.strip().endswith(" .")
        assert local or "--require-hashes" in line or "/src/torch.txt" in line, line
