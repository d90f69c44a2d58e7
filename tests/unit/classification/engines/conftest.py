"""Exports stay in this process, which has torch already; one test has them in theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot import errors
from earshot.classification.engines import prepared
from earshot.classification.engines.export import export


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(source: prepared.Source, draft: Path) -> None:
        try:
            export(source.kind, source.folder, draft)
        except errors.EarshotError as exc:
            raise errors.FailedPreconditionError(exc.message, reason=prepared.NOT_EXPORTED) from exc

    monkeypatch.setattr(prepared, "_in_a_process", make)
