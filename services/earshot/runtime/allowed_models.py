"""Which models each client may use: by the name that the edge has proved, and by the models' names.

The file is JSON, ``{"alice": ["*"], "bob": ["tiny*", "en-us"], "*": ["en-us"]}``: a ``*`` at a name's end is
all that begin so; what the client ``*`` may use, all may. Who is not in it may use nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from earshot import errors
from earshot.runtime import calls
from earshot.runtime.watched import Watched

_EVERYONE: Final = "*"
_Table: TypeAlias = dict[str, tuple[str, ...]]


class AllowedModels:
    """Asked for the call that the task answers. A change of the file holds for calls that begin after it."""

    def __init__(self, file: Path | None) -> None:
        """Without a file all may use all. Raises ``FailedPreconditionError`` for one that is none."""
        self._table = Watched(file, "allowed models", _parsed) if file else None

    def admit(self, model: str) -> bool:
        """Whether the caller may use ``model``."""
        if self._table is None:
            return True
        table = self._table.content
        client = calls.current().claimed_client
        allowed = (*table.get(client, ()), *table.get(_EVERYONE, ()))
        return any(_fits(model, pattern) for pattern in allowed)

    def check(self, model: str) -> None:
        """Raises ``PermissionDeniedError``, with the model's name, where the caller may not use it."""
        if self.admit(model):
            return
        client = calls.current().claimed_client
        who = f"client {client}" if client else "who has no name"
        raise errors.PermissionDeniedError(
            f"{who} may not use model {model!r}; ListModels has those that one may",
            reason="MODEL_NOT_ALLOWED",
        )


def _fits(model: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return model.startswith(pattern.removesuffix("*"))
    return model == pattern


def _parsed(text: str) -> _Table:
    try:
        return msgspec.json.decode(text, type=_Table)
    except msgspec.DecodeError as exc:
        raise ValueError(f'it must be as {{"client": ["model", ...]}}: {exc}') from exc
