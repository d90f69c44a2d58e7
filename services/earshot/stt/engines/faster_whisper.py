"""Whisper on CTranslate2: the one to run on CPUs, with weights in 8 bits.

Takes folders that CTranslate2 has made, from the hub or elsewhere, and openai-whisper's checkpoints,
which it converts once into the cache. Decoding is greedy, as the reference's. Where that is in doubt the
reference draws other words at rising temperatures; here a beam looks for likelier ones, and nothing is left
to chance: CTranslate2 seeds a thread's generator once, and what it draws for a clip would depend on the clips
before, so that a stream that is taken up again could go on with other words than were said to have come.
The encoder takes fewer than 30 s where it is told to, which openai-whisper's does not; two thirds of what a
short clip costs are the silence that it is filled up with.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment as WhisperSegment
from faster_whisper.transcribe import TranscriptionOptions
from numpy.typing import NDArray

from earshot import errors
from earshot.runtime.devices import resolved
from earshot.stt.engines import conversion, windowed
from earshot.stt.engines.options import EngineOptions
from earshot.stt.engines.windowed import Heard, Hearing, Waveform
from earshot.stt.speech_segments import SpeechSegmenter
from earshot.stt.types import SAMPLE_RATE, ModelInfo, RecognitionOptions, Samples, Segment, Transcript
from earshot.weights import Kind, Located, locate, resolve

_FRAMES: Final = 100  # of the spectrogram, in a second
_BEAM: Final = 5  # hypotheses; openai-whisper's command has as many
_NGRAM: Final = 3  # tokens that a text may not say twice, once it has been caught repeating itself

# The library's result, its mean log probability, temperature, and compression of its text.
_Decoded = tuple[Any, float, float, float]

_log = logging.getLogger(__name__)


class _Model(WhisperModel):  # type: ignore[misc] # without types
    """Upstream's, which encodes 30 s whatever is in them, and throws away the text of what takes no time."""

    seconds = 30.0  # that are encoded of each window

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        """Upstream's, of the beginning: the rest is silence that it has added."""
        return super().encode(np.ascontiguousarray(features[..., : round(self.seconds * _FRAMES)]))

    def generate_with_fallback(
        self,
        encoded: ctranslate2.StorageView,
        prompt: list[int],
        tokenizer: Tokenizer,
        options: TranscriptionOptions,
    ) -> _Decoded:
        """Upstream's, with a beam in place of its draws: gives the likeliest that repeats nothing."""
        decode = super().generate_with_fallback

        def decoded(**way: int) -> _Decoded:
            found: _Decoded = decode(encoded, prompt, tokenizer, replace(options, temperatures=[0.0], **way))
            return found

        tried = [decoded()]
        if _is_doubtful(tried[0], options):
            tried.append(decoded(beam_size=_BEAM))
            if _repeats(tried[1], options):
                tried.append(decoded(beam_size=_BEAM, no_repeat_ngram_size=_NGRAM))
        return max([one for one in tried if not _repeats(one, options)] or tried, key=lambda one: one[1])

    def add_word_timestamps(
        self, segments: list[list[dict[str, Any]]], *rest: object, **named: object
    ) -> object:
        """Upstream's, with some time left for each segment."""
        last: object = super().add_word_timestamps(segments, *rest, **named)
        for segment in itertools.chain.from_iterable(segments):
            windowed.lengthen(segment)
        return last


class FasterWhisperEngine:
    """One CTranslate2 model on one device."""

    def __init__(self, model: _Model, weights: Located, segmenter: SpeechSegmenter, context: float) -> None:
        """``context``: seconds that are encoded at the least."""
        self._model, self._segmenter, self._context = model, segmenter, context
        multilingual = model.model.is_multilingual
        self.info = ModelInfo(
            name=weights.name,
            engine="faster-whisper",
            languages=windowed.languages(_languages(model), multilingual),
            features=windowed.features(weights.name, multilingual),
            checksum=weights.checksum,
        )

    def transcribe(
        self, samples: Samples, options: RecognitionOptions, cancelled: Callable[[], bool]
    ) -> Transcript:
        """See :class:`earshot.stt.types.Engine`."""
        return windowed.transcribe(self._segmenter.windows(samples), samples, options, self._hear, cancelled)

    def _hear(self, waveform: Waveform, hearing: Hearing) -> Heard:
        self._model.seconds = windowed.encoded_seconds(waveform, self._context)
        segments, info = self._model.transcribe(
            waveform,
            language=hearing.language or None,
            task=hearing.task,
            word_timestamps=hearing.words,
            initial_prompt=hearing.prompt or None,
            condition_on_previous_text=False,
            beam_size=1,
        )
        return Heard(tuple(_segment(one) for one in segments), info.language)


def _is_doubtful(found: _Decoded, options: TranscriptionOptions) -> bool:
    """By upstream's thresholds; what is probably no speech at all is not tried again."""
    result, log_probability, *_ = found
    unlikely = log_probability < options.log_prob_threshold
    is_silence = unlikely and result.no_speech_prob > options.no_speech_threshold
    return not is_silence and (unlikely or _repeats(found, options))


def _repeats(found: _Decoded, options: TranscriptionOptions) -> bool:
    return bool(found[3] > options.compression_ratio_threshold)


def _segment(one: WhisperSegment) -> Segment:
    words = ((word.word, word.start, word.end, word.probability) for word in one.words or ())
    return windowed.segment(one.text, one.start, one.end, one.avg_logprob, words)


def _languages(model: WhisperModel) -> list[str]:
    """Those that the vocabulary has a token for: models before large-v3 know no Cantonese."""
    return [code for code in model.supported_languages if model.hf_tokenizer.token_to_id(f"<|{code}|>")]


def _width(model: WhisperModel) -> int:
    """Of the encoder: CTranslate2 does not say it, so that a moment of silence is encoded."""
    encoded = model.encode(model.feature_extractor(np.zeros(SAMPLE_RATE, np.float32)))
    return int(encoded.shape[-1])


def load(model: str, options: dict[str, str]) -> FasterWhisperEngine:
    """From a name in the cache, a folder, or an openai-whisper checkpoint (converted the first time).

    Raises :class:`errors.FailedPreconditionError` where it is not there or cannot be read.
    """
    settings = EngineOptions.read(options)
    weights = _weights(model, settings)
    device = resolved(settings.device, ctranslate2.get_cuda_device_count(), "CTranslate2")
    compute_type = settings.compute_type or ("int8" if device == "cpu" else "float16")
    loaded = _load(weights, device, compute_type, settings.threads)
    _log.info("faster-whisper %s in %s on %s, %s", weights.name, compute_type, device, weights.checksum)
    width = _width(loaded)
    segmenter = windowed.segmenter(width, settings.max_window)
    return FasterWhisperEngine(loaded, weights, segmenter, windowed.context(width, settings.context))


def _weights(model: str, settings: EngineOptions) -> Located:
    """A folder of CTranslate2's; the checksum is that of what it was made from."""
    found = locate(Kind.FASTER_WHISPER, model, settings.cache)
    if found is not None and found.is_dir():
        return resolve(Kind.FASTER_WHISPER, model, settings.cache)
    if found is None and locate(Kind.WHISPER, model, settings.cache) is None:
        return resolve(Kind.FASTER_WHISPER, model, settings.cache)  # says what is missing
    checkpoint = resolve(Kind.WHISPER, model, settings.cache)
    return replace(checkpoint, path=conversion.converted(checkpoint, settings.cache))


def _load(weights: Located, device: str, compute_type: str, threads: int) -> _Model:
    try:
        kind, _, index = device.partition(":")
        return _Model(
            str(weights.path),
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            cpu_threads=threads,
        )
    except (OSError, ValueError, RuntimeError) as exc:
        raise errors.FailedPreconditionError(
            f"{weights.path} cannot be loaded as a CTranslate2 Whisper in {compute_type} on {device}: {exc}",
            reason="MODEL_NOT_READABLE",
            field="model",
        ) from exc
