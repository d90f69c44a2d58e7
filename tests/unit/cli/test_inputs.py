"""What the arguments stand for."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import typer

from earshot.cli import inputs


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b" one\n\ntwo \n")))


@pytest.mark.usefixtures("stdin")
def test_audio_from_files_folders_and_standard_input(clips: Path) -> None:
    found = inputs.audio(["named.xyz", str(clips), "-"])

    assert [clip.name for clip in found] == [
        "named.xyz",
        f"{clips}/a.MP3",
        f"{clips}/b.wav",
        f"{clips}/deep/c.flac",
        "stdin",
    ]
    assert found[-1].source == b" one\n\ntwo \n"


def test_a_folder_without_audio(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="no audio file in"):
        inputs.audio([str(tmp_path)])


@pytest.mark.usefixtures("stdin")
def test_standard_input_twice() -> None:
    with pytest.raises(typer.BadParameter, match="only once"):
        inputs.audio(["-", "-"])


@pytest.mark.usefixtures("stdin")
def test_texts_in_order() -> None:
    assert inputs.texts(["zero", "-", "three"]) == ["zero", "one", "two", "three"]


def test_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n \n")))

    with pytest.raises(typer.BadParameter, match="no text"):
        inputs.texts(["-"])


@pytest.mark.parametrize(
    ("separated", "single", "file", "labels"),
    [
        ("a, b c ,,d", None, None, ["a", "b c", "d"]),
        ("", ["x, y", " z "], None, ["x, y", "z"]),
        ("a", ["b"], ["c\n", "\n"], ["a", "b", "c"]),
    ],
)
def test_labels(separated: str, single: list[str] | None, file: list[str] | None, labels: list[str]) -> None:
    assert inputs.labels(separated, single, file) == labels


def test_no_labels() -> None:
    with pytest.raises(typer.BadParameter, match="--labels a,b,c"):
        inputs.labels("", None, None)
