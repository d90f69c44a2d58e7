"""What a sub-command works on: audio files, folders, standard input, texts, labels."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

STDIN: Final = "-"

# What is taken for audio in a folder; a file that is named is tried whatever it is called.
SUFFIXES: Final = frozenset(
    [
        ".aac",
        ".aif",
        ".aiff",
        ".amr",
        ".au",
        ".caf",
        ".flac",
        ".m4a",
        ".m4b",
        ".mka",
        ".mkv",
        ".mov",
        ".mp3",
        ".mp4",
        ".oga",
        ".ogg",
        ".opus",
        ".wav",
        ".weba",
        ".webm",
        ".wma",
    ]
)


@dataclass(frozen=True, slots=True)
class AudioInput:
    """One clip: its name as it is printed, and where its bytes are."""

    name: str
    source: Path | bytes


def audio(names: Iterable[str]) -> list[AudioInput]:
    """The clips that the arguments name; folders are walked, in the order of their names.

    Raises typer.BadParameter for a folder without audio, and for ``-`` given twice.
    """
    inputs = [found for name in names for found in _found(name)]
    if sum(isinstance(found.source, bytes) for found in inputs) > 1:
        raise typer.BadParameter("standard input can be read only once", param_hint="FILE")
    return inputs


def _found(name: str) -> Iterator[AudioInput]:
    path = Path(name)
    if name == STDIN:
        yield AudioInput("stdin", sys.stdin.buffer.read())
    elif path.is_dir():
        yield from _walked(path)
    else:
        yield AudioInput(name, path)


def _walked(folder: Path) -> list[AudioInput]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise typer.BadParameter(f"there is no audio file in {folder}", param_hint="FILE")
    return [AudioInput(str(path), path) for path in paths]


def texts(arguments: Iterable[str]) -> list[str]:
    """The texts that the arguments are; ``-`` stands for each line of standard input.

    Raises typer.BadParameter where there is none.
    """
    found = [text for argument in arguments for text in (_lines() if argument == STDIN else [argument])]
    if not found:
        raise typer.BadParameter("standard input holds no text", param_hint="TEXT")
    return found


def _lines() -> list[str]:
    text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def labels(separated: str, single: Iterable[str] | None, file: Iterable[str] | None) -> list[str]:
    """All labels from ``--labels``, ``--label`` and ``--labels-file``, in that order.

    Raises typer.BadParameter where there is none.
    """
    found = some_labels(separated, single, file)
    if not found:
        raise typer.BadParameter("give the labels to choose from: --labels a,b,c", param_hint="--labels")
    return found


def some_labels(separated: str, single: Iterable[str] | None, file: Iterable[str] | None) -> list[str]:
    """The same, where there need not be any."""
    given = [*separated.split(","), *(single or ()), *(file or ())]
    return [label.strip() for label in given if label.strip()]
