"""``python -m earshot.stt`` with that engine and that listener in place of its own."""

from __future__ import annotations

from dataclasses import replace

from earshot.runtime.launch import launch
from earshot.stt import __main__ as service
from earshot.stt.engines.selection import select
from earshot.stt.settings import SpeechSettings

service._LISTENING = "tests.drills.faulty.listener:make"


async def serve(settings: SpeechSettings) -> None:
    """Picks the engine as the service does."""
    selection = select(settings.engine, settings.model, settings.cache)
    await service.run(settings, replace(selection, loader="tests.drills.faulty.engine:load"))


if __name__ == "__main__":
    launch("stt", SpeechSettings, serve)
