"""The recordings and texts that the demo sends; README.md says where each is from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording's file, or a text, with the labels to score it against."""

    content: Path | str
    labels: tuple[str, ...]


def recordings() -> list[Sample]:
    """Short clips in several encodings."""
    listed = _listed()["recordings"]
    return [Sample(_FOLDER / name, tuple(listed["labels"])) for name in listed["files"]]


def texts() -> list[Sample]:
    """Things that people write."""
    return [Sample(each["text"], tuple(each["labels"])) for each in _listed()["texts"]]


def _listed() -> dict[str, Any]:
    listed: dict[str, Any] = json.loads((_FOLDER / "samples.json").read_text(encoding="utf-8"))
    return listed
