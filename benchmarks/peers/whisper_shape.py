"""Whisper in tiny.en's shape with random weights, in both libraries: for cost, and for nothing else.

What random weights say is nonsense of any length, so that tokens are counted out: the same audio and the same
number of tokens on either side, decoded as each library's own documentation has it, in one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import whisper

from earshot.stt.engines import faster_whisper

TINY_EN: Final = (80, 1500, 384, 6, 4, 51864, 448, 384, 6, 4)  # as openai-whisper's ModelDimensions
_END, _NO_TIMESTAMPS, _START = 50256, 50362, 50257
FRAMES: Final = 100  # of the spectrogram, in a second

Work = Callable[[], object]


def written(folder: Path) -> Path:
    """A checkpoint in openai-whisper's format."""
    torch.manual_seed(0)
    dims = whisper.model.ModelDimensions(*TINY_EN)
    weights = {name: one.half() for name, one in whisper.Whisper(dims).state_dict().items()}
    torch.save({"dims": vars(dims), "model_state_dict": weights}, folder / "tiny.pt")
    return folder / "tiny.pt"


class OpenAI:
    """openai-whisper, fp32."""

    def __init__(self, checkpoint: Path) -> None:
        torch.set_num_threads(1)
        self._model = whisper.load_model(str(checkpoint), device="cpu")

    def window(self, tokens: int) -> Work:
        """The whole of 30 s, with so many tokens in it."""
        options = whisper.DecodingOptions(
            language="en", fp16=False, without_timestamps=True, sample_len=tokens, suppress_tokens=[_END]
        )
        spectrogram = torch.zeros(80, 30 * FRAMES)
        return lambda: whisper.decode(self._model, spectrogram, options)


class FasterWhisper:
    """faster-whisper, int8, as our engine has it."""

    def __init__(self, checkpoint: Path, cache: Path) -> None:
        loaded = faster_whisper.load(str(checkpoint), {"cache": str(cache), "device": "cpu"})
        self._model: Any = vars(loaded)["_model"]

    def window(self, tokens: int, seconds: int = 30, together: int = 1) -> Work:
        """So many windows in one batch, of that many seconds, with so many tokens in each."""
        spectrogram = np.zeros((together, 80, seconds * FRAMES), np.float32)
        prompts = [[_START, _NO_TIMESTAMPS]] * together

        def work() -> object:
            encoded = self._model.encode(spectrogram)
            return self._model.model.generate(
                encoded, prompts, beam_size=1, max_length=tokens + 2, suppress_tokens=[_END]
            )

        return work
