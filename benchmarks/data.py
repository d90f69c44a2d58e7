"""What is sent: recordings and texts of EARSHOT_SHARED (default: ../shared), and what is said in them."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.stt.types import SAMPLE_RATE, Samples

SHARED: Final = Path(os.environ.get("EARSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
DIGITS_MODEL: Final = SHARED / "models" / "whisper-digits.pt"
LABELS: Final = ("card", "transfer", "refund", "exchange rate", "account", "password", "cash", "top-up")


def folder(*parts: str) -> Path:
    """A folder of the data; ends the program, saying what to set, where it is not there."""
    found = SHARED.joinpath("data", *parts)
    if not found.exists():
        sys.exit(f"no data at {found}: set EARSHOT_SHARED to the folder with data/ and models/")
    return found


def rows(*parts: str) -> list[dict[str, Any]]:
    """The manifest of a folder."""
    lines = (folder(*parts) / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def samples(path: Path) -> Samples:
    """A file as samples at 16 kHz."""
    return decode_all(path.read_bytes(), AudioFormat(), AudioLimits())


@cache
def digits() -> tuple[Samples, ...]:
    """Three minutes of spoken digits from each of eight recordings."""
    return tuple(samples(folder("digits") / row["file"]) for row in rows("digits"))


def clips(seconds: float, count: int) -> list[Samples]:
    """So many cuts of the digits, each of that length."""
    size = round(seconds * SAMPLE_RATE)
    cuts = [one[at : at + size] for at in range(0, 160 * SAMPLE_RATE, size) for one in digits()]
    return [one for one in cuts if len(one) == size][:count]


def texts(count: int) -> list[str]:
    """So many different sentences that people wrote to a bank, or to an assistant."""
    wanted = {"banking77", "clinc150", "snips"}
    return [row["text"] for row in rows("text") if row["dataset"] in wanted][:count]
