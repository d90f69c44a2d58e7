"""The client is light: what only the services need must not be needed to talk to them."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"numpy", "torch", "transformers", "av", "whisper", "pydantic_settings", "structlog", "rich", "typer"}


def test_the_client_imports_nothing_heavy() -> None:
    code = "import sys, earshot.client; print(*(name.partition('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "grpc" in loaded.split()
    assert not HEAVY & set(loaded.split())
