"""The chart as helm renders it."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """They must be there; CI may not be without them."""
    missing = [name for name in ("helm", "helm-docs", "kubectl") if shutil.which(name) is None]
    if not missing:
        return
    message = f"not on the PATH: {', '.join(missing)}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
