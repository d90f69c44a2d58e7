"""Fetches weights into the cache: whole and checked, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from earshot import errors
from earshot.weights import checksums, download, hub
from earshot.weights.catalog import Kind, Weights, find
from earshot.weights.placing import place
from earshot.weights.store import Located, place_of, verified

Progress = Callable[[int, int], None]  # bytes so far, bytes in all (0: not said)

_NO_NETWORK: Final = (
    "cannot fetch {name}: {why}. Behind a proxy set HTTPS_PROXY{mirror}. Without a network fetch {what} "
    "elsewhere and copy {unit} to {place}"
)


def pull(
    name: str | Weights, kind: Kind | None = None, *, cache: Path, progress: Progress | None = None
) -> Located:
    """The named weights, fetched unless the cache has them already.

    A checksum that was published is held to. Raises :class:`errors.UnavailableError` where the network
    or the download fails (nothing is left behind, and the message says what to do),
    :class:`errors.NotFoundError` where nobody publishes them, :class:`errors.InvalidArgumentError`
    where the kind must be said, :class:`errors.FailedPreconditionError` where the cache cannot be written.
    """
    weights = name if isinstance(name, Weights) else find(name, kind)
    target = place_of(weights, cache)
    try:
        place(target, lambda draft: _fetch(weights, draft, progress or _quiet))
    except errors.UnavailableError as exc:
        raise errors.UnavailableError(_advice(weights, target, exc.message), reason=exc.reason) from exc
    return verified(weights, target)


def _fetch(weights: Weights, draft: Path, progress: Progress) -> None:
    if weights.is_file:
        download.fetch(weights.source, draft, weights.checksum, progress)
    else:
        hub.fetch(weights.source, weights.kind, draft, progress)
        (draft / checksums.SUMS).write_text(checksums.listing(draft))


def _advice(weights: Weights, target: Path, why: str) -> str:
    if weights.is_file:
        return _NO_NETWORK.format(
            name=weights.name, why=why, mirror="", what=weights.source, unit="the file", place=target
        )
    return _NO_NETWORK.format(
        name=weights.name,
        why=why,
        mirror=", for a mirror of the hub HF_ENDPOINT",
        what=f"https://huggingface.co/{weights.source}",
        unit="its files",
        place=f"{target}/",
    )


def _quiet(done: int, total: int) -> None:
    """No progress wanted."""
