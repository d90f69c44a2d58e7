"""openai-whisper on torch: the reference, and the one to run on a GPU.

Radford and others 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", arXiv:2212.04356.
Decoding is upstream's own: greedy, then warmer where it fails (section 4.5). Where it fails at every
temperature the likeliest words are kept, as faster-whisper does, and not the last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import torch
import whisper
from whisper.tokenizer import LANGUAGES

from earshot.runtime.devices import resolved
from earshot.stt.engines import checkpoint, windowed
from earshot.stt.engines.options import EngineOptions
from earshot.stt.engines.windowed import Heard, Hearing, Waveform
from earshot.stt.speech_segments import SpeechSegmenter
from earshot.stt.types import ModelInfo, RecognitionOptions, Samples, Segment, Transcript
from earshot.weights import Kind, Located, resolve

# Upstream's own ladder and thresholds.
_TEMPERATURES: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST_COMPRESSION: Final = 2.4  # of the text by zlib; more: it repeats itself
_LEAST_LOG_PROBABILITY: Final = -1.0  # mean of a segment's tokens

_log = logging.getLogger(__name__)

# The package has a function of its module's name; what the module calls can only be reached by itself.
_upstream: Final = import_module("whisper.transcribe")
_align: Final = _upstream.add_word_timestamps


def _align_all(*, segments: list[dict[str, Any]], **rest: object) -> None:
    """Upstream's, with some time left for each segment."""
    _align(segments=segments, **rest)
    for segment in segments:
        windowed.lengthen(segment)


_upstream.add_word_timestamps = _align_all  # type: ignore[attr-defined] # as it is for its own module


class WhisperEngine:
    """One checkpoint on one device."""

    def __init__(self, model: whisper.Whisper, weights: Located, segmenter: SpeechSegmenter) -> None:
        self._model, self._segmenter = model, segmenter
        multilingual = model.is_multilingual
        self.info = ModelInfo(
            name=weights.name,
            engine="whisper",
            languages=windowed.languages(list(LANGUAGES)[: model.num_languages], multilingual),
            features=windowed.features(weights.name, multilingual),
            checksum=weights.checksum,
        )

    def transcribe(
        self, samples: Samples, options: RecognitionOptions, cancelled: Callable[[], bool]
    ) -> Transcript:
        """See :class:`earshot.stt.types.Engine`."""
        torch.manual_seed(0)  # the fall-back draws: the same clip gives the same words
        return windowed.transcribe(self._segmenter.windows(samples), samples, options, self._hear, cancelled)

    def _hear(self, waveform: Waveform, hearing: Hearing) -> Heard:
        tried: list[dict[str, Any]] = []
        for temperature in _TEMPERATURES:
            tried.append(self._decode(waveform, hearing, temperature))
            if not _failed(tried[-1]):
                break
        result = _best(tried) if _failed(tried[-1]) else tried[-1]
        return Heard(tuple(_segment(one) for one in result["segments"]), result["language"])

    def _decode(self, waveform: Waveform, hearing: Hearing, temperature: float) -> dict[str, Any]:
        result: dict[str, Any] = self._model.transcribe(
            waveform,
            temperature=temperature,
            language=hearing.language or None,
            task=hearing.task,
            word_timestamps=hearing.words,
            initial_prompt=hearing.prompt or None,
            condition_on_previous_text=False,
            fp16=self._model.device.type == "cuda",
        )
        return result


def _failed(result: dict[str, Any]) -> bool:
    return _repeats(result) or _log_probability(result) < _LEAST_LOG_PROBABILITY


def _best(results: list[dict[str, Any]]) -> dict[str, Any]:
    return max([one for one in results if not _repeats(one)] or results, key=_log_probability)


def _repeats(result: dict[str, Any]) -> bool:
    return any(one["compression_ratio"] > _MOST_COMPRESSION for one in result["segments"])


def _log_probability(result: dict[str, Any]) -> float:
    """Of the least likely part; what was taken for silence has none and is sure."""
    return min((one["avg_logprob"] for one in result["segments"]), default=0.0)


def _segment(one: dict[str, Any]) -> Segment:
    words = ((word["word"], word["start"], word["end"], word["probability"]) for word in one.get("words", ()))
    return windowed.segment(one["text"], one["start"], one["end"], one["avg_logprob"], words)


def load(model: str, options: dict[str, str]) -> WhisperEngine:
    """From a published name in the cache, or a checkpoint file.

    Raises :class:`earshot.errors.FailedPreconditionError` where it is not there or cannot be read.
    """
    settings = EngineOptions.read(options)
    weights = resolve(Kind.WHISPER, model, settings.cache)
    device = resolved(settings.device, torch.cuda.device_count(), "torch")
    torch.set_num_threads(settings.threads)
    loaded = checkpoint.load(weights, device)
    _log.info("whisper %s on %s, %s", weights.name, device, weights.checksum)
    segmenter = windowed.segmenter(loaded.dims.n_audio_state, settings.max_window)
    return WhisperEngine(loaded, weights, segmenter)
