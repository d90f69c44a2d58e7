"""Which engine hears, and with which weights: by looking at the files that are there.

Importing this loads no engine library; the loader that is chosen runs in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from earshot import errors
from earshot.weights import Kind, find, known, locate
from earshot.weights.store import cached

AUTO, WHISPER, FASTER_WHISPER, POCKETSPHINX = "auto", "whisper", "faster-whisper", "pocketsphinx"
_BUILT_IN: Final = "pocketsphinx-en-us"  # its only model
_LOADERS: Final = {
    WHISPER: "earshot.stt.engines.whisper:load",
    FASTER_WHISPER: "earshot.stt.engines.faster_whisper:load",
    POCKETSPHINX: "earshot.stt.engines.pocketsphinx:load",
}
_LIBRARIES: Final = {
    WHISPER: ("torch", "whisper", "faster_whisper"),  # the last for its speech detector
    FASTER_WHISPER: ("ctranslate2", "faster_whisper"),
    POCKETSPHINX: ("pocketsphinx", "faster_whisper"),
}
_CONVERTING: Final = ("torch", "whisper", "transformers")
_INSTALL: Final = errors.how_to_install("stt")


@dataclass(frozen=True, slots=True)
class Selection:
    """What an engine process is to load, and why that."""

    loader: str  # "module:function"
    engine: str
    model: str  # a name, or a path
    fallback_reason: str  # empty: it is what was asked for, or the best there is


def select(engine: str, model: str, cache: Path) -> Selection:
    """The engine of that name, or for "auto" the best one that can run here.

    "auto" takes faster-whisper where Whisper's weights are there in either form, then whisper, then
    pocketsphinx, and says why. Without a model the weights that came last into the cache are taken.
    Raises :class:`errors.InvalidArgumentError` for an engine or a model that does not exist, and
    :class:`errors.FailedPreconditionError` where what was asked for by name is not here.
    """
    if engine not in {AUTO, *_LOADERS}:
        names = ", ".join((AUTO, *_LOADERS))
        raise errors.InvalidArgumentError(
            f"there is no engine {engine!r}: take one of {names}", reason="ENGINE_UNKNOWN", field="engine"
        )
    if engine == POCKETSPHINX or (engine == AUTO and model == _BUILT_IN):
        return _pocketsphinx(model, "")
    if engine == AUTO:
        return _auto(model, cache)
    return _named(engine, model, cache)


def _auto(model: str, cache: Path) -> Selection:
    chosen = model or _newest(cache, (Kind.FASTER_WHISPER, Kind.WHISPER))
    if not chosen:
        return _pocketsphinx(
            "",
            "no Whisper weights are in the cache: for fewer errors run `earshot models pull small.en`",
        )
    whys: list[str] = []
    for engine in (FASTER_WHISPER, WHISPER):
        why = _hindrance(engine, chosen, cache)
        if not why:
            return _selection(engine, chosen, "; ".join(whys))
        whys.append(why)
    if model:  # asked for by name: another model's words would be a surprise
        raise errors.FailedPreconditionError("; ".join(whys), reason="MODEL_NOT_PRESENT", field="model")
    return _pocketsphinx("", "; ".join(whys))


def _named(engine: str, model: str, cache: Path) -> Selection:
    kinds = (Kind.WHISPER,) if engine == WHISPER else (Kind.FASTER_WHISPER, Kind.WHISPER)
    chosen = model or _newest(cache, kinds)
    why = _hindrance(engine, chosen, cache)
    if why:
        raise errors.FailedPreconditionError(why, reason="MODEL_NOT_PRESENT", field="model")
    return _selection(engine, chosen, "")


def _hindrance(engine: str, model: str, cache: Path) -> str:
    """Why the engine cannot load the model here, and what to do; empty: it can."""
    missing = [library for library in _LIBRARIES[engine] if find_spec(library) is None]
    if missing:
        return f"{engine} needs {', '.join(missing)}: {_INSTALL}"
    if not model:
        return f"{engine} finds no weights in {cache}: `earshot models pull small.en`"
    place = _place(engine, model, cache)
    if place is None:
        return f"{engine} finds no weights {model} in {cache}: {_advice(model)}"
    missing = [library for library in _CONVERTING if find_spec(library) is None]
    if engine == FASTER_WHISPER and place.is_file() and missing:
        return f"{engine} needs {', '.join(missing)} to convert {model}: {_INSTALL}"
    return ""


def _place(engine: str, model: str, cache: Path) -> Path | None:
    """Where what the engine would load is: a file for whisper, a folder or a file for faster-whisper."""
    checkpoint = locate(Kind.WHISPER, model, cache)
    if checkpoint is not None and not checkpoint.is_file():
        checkpoint = None
    return checkpoint if engine == WHISPER else locate(Kind.FASTER_WHISPER, model, cache) or checkpoint


def _advice(model: str) -> str:
    try:
        weights = find(model, None if "/" not in model else Kind.FASTER_WHISPER)
    except errors.EarshotError:
        names = ", ".join(one.name for one in known() if one.kind == Kind.WHISPER)
        return f"give a file, a folder, a repository of the hub, or one of {names}"
    kind = "" if weights in known() else f" --kind {weights.kind}"
    return f"`earshot models pull {weights.name}{kind}`"


def _newest(cache: Path, kinds: tuple[Kind, ...]) -> str:
    """The weights that came last into the cache: what somebody pulled last is what they want."""
    found = [one for one in cached(cache) if one.kind in kinds]
    return max(found, key=lambda one: (one.path.stat().st_mtime_ns, one.name)).name if found else ""


def _pocketsphinx(model: str, reason: str) -> Selection:
    if model not in {"", _BUILT_IN}:
        raise errors.InvalidArgumentError(
            f"pocketsphinx has no model {model!r}, only {_BUILT_IN}: leave the model empty",
            reason="MODEL_UNKNOWN",
            field="model",
        )
    missing = [library for library in _LIBRARIES[POCKETSPHINX] if find_spec(library) is None]
    if missing:
        raise errors.FailedPreconditionError(
            f"pocketsphinx needs {', '.join(missing)}: {_INSTALL}",
            reason="ENGINE_NOT_PRESENT",
            field="engine",
        )
    return _selection(POCKETSPHINX, _BUILT_IN, reason)


def _selection(engine: str, model: str, reason: str) -> Selection:
    return Selection(_LOADERS[engine], engine, model, reason)
