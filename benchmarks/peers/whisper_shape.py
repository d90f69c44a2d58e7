"""Whisper in tiny.en's shape with random weights, in both libraries: for cost, and for nothing else.

What random weights say is nonsense of any length, so that tokens are counted out: the same audio and the same
number of tokens on either side, decoded as each library's own documentation has it, in one thread. Or the
checkpoint is made to say what it is told to, so that the whole of an engine can be run with it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import whisper
from whisper.tokenizer import get_tokenizer

from earshot.stt.engines import faster_whisper

TINY_EN: Final = (80, 1500, 384, 6, 4, 51864, 448, 384, 6, 4)  # as openai-whisper's ModelDimensions
_END, _NO_TIMESTAMPS, _START = 50256, 50362, 50257
FRAMES: Final = 100  # of the spectrogram, in a second

# The first words of the Gettysburg address, as many tokens as there are in 10 s of ordinary speech.
_SAID: Final = (
    " Four score and seven years ago our fathers brought forth on this continent a new nation, conceived in "
    "liberty, and dedicated to the proposition that all men are created equal."
)
_SAID_TOKENS: Final = 27
_TICKS: Final = 50  # of Whisper's timestamps, in a second
_LOUD: Final = 30  # times what all else brings to the choice of a token

Work = Callable[[], object]


def written(folder: Path) -> Path:
    """A checkpoint in openai-whisper's format."""
    return _saved(_random(), folder / "tiny.pt")


def speaking(folder: Path) -> Path:
    """The same, which says one sentence whatever it hears, and ends: as much work as for 10 s of speech.

    Each place in the text is embedded as the token that is due there, many times louder than what the layers
    make of the rest; all of them are computed all the same.
    """
    model, tokens = _random(), get_tokenizer(multilingual=False)
    said = tokens.encode(_SAID)[:_SAID_TOKENS]
    script = [tokens.timestamp_begin, *said, tokens.timestamp_begin + 10 * _TICKS]
    script += [tokens.eot] * (model.dims.n_text_ctx - len(script))
    decoder = model.decoder
    decoder.positional_embedding.data = _LOUD * decoder.token_embedding.weight.data[script]
    return _saved(model, folder / "tiny-speaking.pt")


def _random() -> whisper.Whisper:
    torch.manual_seed(0)
    return whisper.Whisper(whisper.model.ModelDimensions(*TINY_EN))


def _saved(model: whisper.Whisper, path: Path) -> Path:
    weights = {name: one.half() for name, one in model.state_dict().items()}
    torch.save({"dims": vars(model.dims), "model_state_dict": weights}, path)
    return path


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
