"""Checksums of weights: SHA-256 of a file, or of a folder's listing as ``sha256sum`` prints it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SUMS: Final = "SHA256SUMS"  # beside a pulled folder's files; ``sha256sum -c SHA256SUMS`` reads it


def of(path: Path) -> str:
    """``sha256:<hex>``; of a folder: of the text that :func:`listing` gives."""
    digest = of_text(listing(path)) if path.is_dir() else of_file(path)
    return f"sha256:{digest}"


def of_file(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_text(text: str) -> str:
    """The SHA-256 in hexadecimal of the text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def listing(folder: Path) -> str:
    """A line for each file in it, sorted by path; hidden files and the listing itself left out."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    seen = [name for name in files if name != SUMS and not any(p.startswith(".") for p in name.split("/"))]
    return "".join(f"{of_file(folder / name)}  {name}\n" for name in seen)
