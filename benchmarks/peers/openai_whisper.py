"""openai-whisper as shipped: ``load_model`` and ``transcribe``, as its README has it, on one thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import whisper

from benchmarks.peers.bare_engine import Hear
from earshot.stt.types import Samples


def transcriber(checkpoint: Path) -> Hear:
    """Samples at 16 kHz, of any length, to words."""
    torch.set_num_threads(1)
    model = whisper.load_model(str(checkpoint), device="cpu")

    def hear(samples: Samples) -> str:
        waveform = samples.astype(np.float32) / 32768
        # Without this it warns at each call that a CPU has no half precision.
        return str(model.transcribe(waveform, language="en", fp16=False)["text"])

    return hear
