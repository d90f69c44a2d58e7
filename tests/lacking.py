"""What a test needs and the machine has not."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Ends a test that this machine is not fit for: skipped, but failed where CI is, which may skip none."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
