"""What a service's process is like before it serves."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import gc
from earshot.runtime.launch import launch
from earshot.runtime.settings import ServiceSettings

async def serve(_):
    print(gc.get_freeze_count(), len(gc.get_objects()))

launch("stt", ServiceSettings, serve)
"""


def test_the_collector_does_not_look_at_what_has_been_imported() -> None:
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    frozen, others = map(int, run.stdout.split())
    assert frozen > 20 * others
