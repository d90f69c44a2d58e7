"""The real speech-to-text service with a fake engine: ``metered.py MODEL``; settings by its environment."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from earshot.runtime.settings import read
from earshot.stt import __main__ as stt
from earshot.stt.engines.selection import Selection
from earshot.stt.settings import SpeechSettings

if __name__ == "__main__":
    selection = Selection("tests.rpc.fakes:load_speech", "fake", sys.argv[1], "the test wants a fake")
    asyncio.run(stt.run(read(SpeechSettings), selection))
