"""NumPy arrays to raw samples, without NumPy: the array does the work itself."""

from __future__ import annotations

import math
from typing import Any, Final, Protocol, TypeGuard

from earshot import errors

# Overshoot, as resampling leaves it, is clipped; beyond this the samples are on another scale.
_PEAK: Final = 2.0
_MAX_CHANNELS: Final = 8


class DType(Protocol):
    """As much of a NumPy dtype."""

    @property
    def kind(self) -> str: ...
    @property
    def itemsize(self) -> int: ...


class Array(Protocol):
    """As much of a NumPy array as can be told by its type."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> DType: ...
    def tobytes(self) -> bytes: ...


def is_array(value: object) -> TypeGuard[Array]:
    """True for NumPy's arrays and what looks like them."""
    return all(hasattr(value, name) for name in ("shape", "dtype", "tobytes", "astype"))


def to_linear16(array: Array, channels: int) -> tuple[bytes, int]:
    """Interleaved 16-bit little-endian samples, and how many channels they have.

    ``array`` is int16, or float32 or float64 in -1 to 1, shaped (frames,) or (frames, channels).
    ``channels`` is what the caller says: 0 for nothing. Raises InvalidArgumentError otherwise.
    """
    found = _channels(array.shape)
    if channels not in {0, found}:
        raise _refused(f"the array has {found} channels and not {channels}: its shape is {array.shape}")
    return _samples(array, f"{array.dtype.kind}{array.dtype.itemsize}"), found


def _channels(shape: tuple[int, ...]) -> int:
    if len(shape) not in {1, 2}:
        raise _refused(f"the array's shape is {shape} and must be (frames,) or (frames, channels)")
    channels = shape[1] if len(shape) == 2 else 1
    if not 1 <= channels <= _MAX_CHANNELS:
        raise _refused(f"the array's shape is {shape}: (frames, channels) has 1 to 8 channels; transpose it?")
    return channels


def _samples(array: Any, kind: str) -> bytes:  # noqa: ANN401 - NumPy is not there to name the type
    if 0 in array.shape:
        raise _refused("the audio is empty", reason="EMPTY_AUDIO")
    if kind == "i2":
        samples = array.astype("<i2", copy=False)
    elif kind in {"f4", "f8"}:
        _check_scale(float(abs(array).max()))
        samples = (array * 32768.0).round().clip(-32768, 32767).astype("<i2")
    else:
        raise _refused(f"the array is of {array.dtype}: give int16, or float32 or float64 in -1 to 1")
    return bytes(samples.tobytes())


def _check_scale(peak: float) -> None:
    if math.isnan(peak):
        raise _refused("the array has NaN samples")
    if peak > _PEAK:
        raise _refused(f"float samples must be in -1 to 1, and one is {peak:g}: scale them, or give int16")


def _refused(message: str, reason: str = "BAD_SAMPLES") -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(message, reason=reason, field="content")
