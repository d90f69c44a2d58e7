"""The chart as helm renders it."""

from __future__ import annotations

import shutil

import pytest

from tests.lacking import lacking


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """They must be there; CI may not be without them."""
    missing = [name for name in ("helm", "helm-docs", "kubectl") if shutil.which(name) is None]
    if missing:
        lacking(f"not on the PATH: {', '.join(missing)}")
