"""What an engine process loads, and what it leaves alone; each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

UNWANTED = ("torch", "transformers", "onnx", "scipy", "sklearn", "triton", "grpc", "earshot.rpc")
UNWANTED_BY_TORCH = ("scipy", "sklearn", "triton", "grpc", "earshot.rpc", "sentence_transformers")

_LOAD = """
import socket, sys
def refuse(*args): raise AssertionError("the network was touched")
socket.socket.connect = socket.getaddrinfo = refuse
from earshot.classification.engines import {module}
from earshot.classification.types import ClassificationOptions, ClassificationRequest
if {module!r} == "embedding":
    options = ClassificationOptions(("hot", "cold"))
    print({module}.load("", {{}}).classify([ClassificationRequest("ice", options)], lambda: False))
print([name for name in {unwanted!r} if name in sys.modules])
"""

_LATE = """
import sys, transformers
before = set(sys.modules)
from earshot.classification.engines import embedding
embedding.load("", {})
print([name for name in before if sys.modules.get(name, None) is None])
import scipy.optimize
"""


def run(code: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["embedding", "nli"])
def test_what_is_never_used_is_not_loaded(module: str) -> None:
    assert run(_LOAD.format(module=module, unwanted=UNWANTED)).endswith("[]\n")


def test_what_is_loaded_already_stays() -> None:
    assert run(_LATE) == "[]\n"
