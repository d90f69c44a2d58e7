"""Where engines compute: how devices are named, and whether they are there. Plain Python."""

from __future__ import annotations

from typing import Final

from earshot import errors

DEVICE: Final = r"(?:auto|cpu|cuda(?::\d+)?)"  # one, as a regular expression


def listed(names: str) -> tuple[str, ...]:
    """The devices of "cuda:0,cuda:1"."""
    return tuple(name.strip() for name in names.split(","))


def resolved(device: str, present: int, library: str) -> str:
    """What ``device`` means where ``library`` finds so many GPUs: "cpu", "cuda" or "cuda:1".

    Raises :class:`errors.FailedPreconditionError` for a GPU that is not there.
    """
    if device == "auto":
        return "cuda" if present else "cpu"
    kind, _, number = device.partition(":")
    if kind == "cuda" and int(number or 0) >= present:
        raise errors.FailedPreconditionError(
            f"{library} finds no GPU {device}: set the device to cpu or auto",
            reason="DEVICE_NOT_PRESENT",
            field="device",
        )
    return device
