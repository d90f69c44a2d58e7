"""The weights that can be named, and where each comes from."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from earshot import errors


class Kind(StrEnum):
    """What reads the weights."""

    WHISPER = "whisper"
    FASTER_WHISPER = "faster-whisper"
    NLI = "nli"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights by name. ``source`` is a URL of one file, or a repository of the Hugging Face hub."""

    name: str
    kind: Kind
    source: str
    checksum: str = ""  # "sha256:<hex>" of the file, where it is known beforehand

    @property
    def is_file(self) -> bool:
        """One file by URL; else a folder from the hub."""
        return "://" in self.source


# As openai-whisper publishes them (``whisper._MODELS``, where each URL carries the file's SHA-256).
_WHISPER_HOST: Final = "https://openaipublic.azureedge.net/main/whisper/models"
_WHISPER_FILES: Final = {
    "tiny.en": "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
    "tiny": "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    "base.en": "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead",
    "base": "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    "small.en": "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872",
    "small": "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    "medium.en": "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f",
    "medium": "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    "large-v1": "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a",
    "large-v2": "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
    "large-v3": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    "large-v3-turbo": "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
}
_WHISPER_ALIASES: Final = {"large": "large-v3", "turbo": "large-v3-turbo"}
_FASTER_WHISPER: Final = {
    **{name: f"Systran/faster-whisper-{name}" for name in _WHISPER_FILES if name != "large-v3-turbo"},
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
}
_NLI: Final = (
    "MoritzLaurer/deberta-v3-base-zeroshot-v2.0",
    "MoritzLaurer/deberta-v3-xsmall-zeroshot-v1.1-all-33",
    "facebook/bart-large-mnli",
    "cross-encoder/nli-MiniLM2-L6-H768",
    "typeform/distilbert-base-uncased-mnli",
)
_EMBEDDING: Final = (
    "sentence-transformers/all-MiniLM-L6-v2",
    "sentence-transformers/all-mpnet-base-v2",
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    "BAAI/bge-small-en-v1.5",
    "intfloat/multilingual-e5-small",
)
_HUB_ID: Final = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)


@cache
def known() -> tuple[Weights, ...]:
    """All weights that can be pulled by name alone."""
    return (
        *(_whisper(name) for name in _WHISPER_FILES),
        *(Weights(hub_id, Kind.FASTER_WHISPER, hub_id) for hub_id in _FASTER_WHISPER.values()),
        *(Weights(hub_id, Kind.NLI, hub_id) for hub_id in _NLI),
        *(Weights(hub_id, Kind.EMBEDDING, hub_id) for hub_id in _EMBEDDING),
    )


def _whisper(name: str) -> Weights:
    digest = _WHISPER_FILES[name]
    return Weights(name, Kind.WHISPER, f"{_WHISPER_HOST}/{digest}/{name}.pt", f"sha256:{digest}")


def find(name: str, kind: Kind | None = None) -> Weights:
    """The weights of that name; any repository of the hub where the kind is given.

    ``faster-whisper`` knows its models by Whisper's short names too. Raises
    :class:`errors.NotFoundError` for a name that nobody publishes, and
    :class:`errors.InvalidArgumentError` for a repository of unknown kind.
    """
    full = _full_name(name, kind)
    for weights in known():
        if weights.name == full and kind in {None, weights.kind}:
            return weights
    if not _HUB_ID.fullmatch(full):
        raise errors.NotFoundError(_unknown(name, kind), reason="MODEL_UNKNOWN", field="model")
    if kind is None:
        kinds = ", ".join(one for one in Kind if one != Kind.WHISPER)
        raise errors.InvalidArgumentError(
            f"say what kind of weights {name} has: one of {kinds}", reason="KIND_MISSING", field="kind"
        )
    if kind == Kind.WHISPER:
        raise errors.InvalidArgumentError(
            f"{name} is a repository of the hub, and openai-whisper reads single files: give one of its "
            "published names, or the kind faster-whisper",
            reason="KIND_MISMATCH",
            field="kind",
        )
    return Weights(full, kind, full)


def _full_name(name: str, kind: Kind | None) -> str:
    short = _WHISPER_ALIASES.get(name, name)
    return _FASTER_WHISPER.get(short, short) if kind == Kind.FASTER_WHISPER else short


def _unknown(name: str, kind: Kind | None) -> str:
    names = [one.name for one in known() if kind in {None, one.kind}]
    close = difflib.get_close_matches(name, names, n=3) or names[:3]
    return f"no weights are called {name!r}: did you mean {', '.join(close)}? `earshot models list` has all"
