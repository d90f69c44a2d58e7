"""What an engine can be told, out of the strings that cross to its process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from earshot import errors
from earshot.runtime.devices import DEVICE
from earshot.weights import cache_folder

_LONGEST_WINDOW: Final = 28.0  # seconds; Whisper hears 30, and half a second of silence is kept around
_FULL_CONTEXT: Final = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Settings of an engine process; each engine reads what concerns it."""

    cache: Path
    device: str = "auto"  # or cpu, cuda, cuda:1
    threads: int = 1
    max_window: float = 0.0  # seconds of audio that Whisper is given at once; 0: by the model
    context: float = 0.0  # seconds that faster-whisper encodes at the least; 0: by the model
    compute_type: str = ""  # of CTranslate2; empty: int8 on a CPU, float16 on a GPU

    @classmethod
    def read(cls, options: dict[str, str]) -> EngineOptions:
        """From strings; names that are not known are left out.

        Raises :class:`errors.InvalidArgumentError` with the option's name as the field.
        """
        device = options.get("device") or "auto"
        if not re.fullmatch(DEVICE, device):
            raise _wrong("device", device, "auto, cpu, cuda, or one of several as cuda:1")
        return cls(
            cache=cache_folder(options.get("cache", "")),
            device=device,
            threads=int(_number(options, "threads", 1, 1, 1024)),
            max_window=_number(options, "max_window_seconds", 0, 0, _LONGEST_WINDOW),
            context=_number(options, "context_seconds", 0, 0, _FULL_CONTEXT),
            compute_type=options.get("compute_type", ""),
        )


def _number(options: dict[str, str], name: str, default: float, least: float, most: float) -> float:
    text = options.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise _wrong(name, text, f"a number from {least:g} to {most:g}")
    return value


def _wrong(name: str, value: str, allowed: str) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(
        f"the engine option {name} is {value!r}: give {allowed}", reason="OPTION_INVALID", field=name
    )
