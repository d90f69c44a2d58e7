"""``python -m earshot.classification`` with that engine in place of its own."""

from __future__ import annotations

from dataclasses import replace

from earshot.classification.__main__ import run
from earshot.classification.engines.selection import select
from earshot.classification.settings import ClassificationSettings
from earshot.runtime.launch import launch


async def serve(settings: ClassificationSettings) -> None:
    """The embedded engine, which is there on every machine."""
    selection = select("embedding", "", settings.cache)
    await run(settings, replace(selection, loader="tests.drills.faulty.texts:load"))


if __name__ == "__main__":
    launch("classification", ClassificationSettings, serve)
