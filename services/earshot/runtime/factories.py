"""Functions by their names: what a process is told to run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast


def named(name: str) -> Callable[..., Any]:
    """The function "module:function"; its module is imported here and now."""
    module, _, function = name.partition(":")
    return cast("Callable[..., Any]", getattr(importlib.import_module(module), function))
