"""What the caller asks for, as request messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from earshot import errors
from earshot.gen.v1 import audio_pb2, classification_pb2, speech_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from earshot.client.options import AudioOptions, ClassifySpeechOptions, LabelOptions, RecognizeOptions
    from earshot.client.sources import Audio, Format


@dataclass(frozen=True, slots=True)
class Text:
    """A text with labels of its own."""

    text: str
    labels: tuple[str, ...] = ()  # empty: those of the call


Texts: TypeAlias = Sequence[str | Text]


def recognize(audio: Audio, options: RecognizeOptions) -> speech_pb2.RecognizeRequest:
    """The request to write down ``audio``."""
    config = recognition_config(audio, options, options.get("model", ""))
    return speech_pb2.RecognizeRequest(config=config, content=audio.content)


def classify(
    texts: str | Texts, labels: Sequence[str], options: LabelOptions
) -> classification_pb2.ClassifyRequest:
    """The request to score each text; one alone makes one input."""
    inputs = [_input(text) for text in ([texts] if isinstance(texts, str) else texts)]
    return classification_pb2.ClassifyRequest(inputs=inputs, config=classification_config(labels, options))


def classify_speech(
    audio: Audio, labels: Sequence[str], options: ClassifySpeechOptions
) -> classification_pb2.ClassifySpeechRequest:
    """The request to write down ``audio`` and score what was said."""
    return classification_pb2.ClassifySpeechRequest(
        recognition_config=recognition_config(audio, options, options.get("speech_model", "")),
        classification_config=classification_config(labels, options),
        content=audio.content,
    )


def recognition_config(
    audio: Audio | Format, options: AudioOptions, model: str
) -> audio_pb2.RecognitionConfig:
    """What the audio is, and what is wanted of it."""
    config = audio_pb2.RecognitionConfig(model=model, language_code=options.get("language", ""))
    _set_decoding(config, audio)
    config.features.enable_word_time_offsets = options.get("word_offsets", False)
    config.features.enable_word_confidence = options.get("word_confidence", False)
    config.features.phrase_hints.extend(_several(options.get("phrase_hints", ()), "phrase_hints"))
    config.features.redact.extend(_kinds(options.get("redact", ())))
    config.features.profanity_filter = options.get("profanity_filter", False)
    translate = options.get("translate", False)
    config.task = config.TASK_TRANSLATE if translate else config.TASK_TRANSCRIBE
    return config


def _kinds(names: Iterable[str]) -> list[audio_pb2.RecognitionFeatures.RedactionKind.ValueType]:
    """Kinds of personal data by their names, as "number"."""
    kinds = audio_pb2.RecognitionFeatures.RedactionKind
    try:
        return [kinds.Value(f"REDACTION_KIND_{name.upper()}") for name in _several(names, "redact")]
    except ValueError as error:
        known = ", ".join(name.rpartition("_")[2].lower() for name in kinds.keys()[1:])
        raise errors.InvalidArgumentError(
            f"what can be taken out is {known}; asked for was {', '.join(names)}", field="redact"
        ) from error


def _set_decoding(config: audio_pb2.RecognitionConfig, audio: Audio | Format) -> None:
    if audio.encoding is None:
        config.auto_decoding_config.SetInParent()
        return
    explicit = config.explicit_decoding_config
    explicit.encoding = explicit.AudioEncoding.Value(f"AUDIO_ENCODING_{audio.encoding.upper()}")
    explicit.sample_rate_hertz = audio.sample_rate
    explicit.audio_channel_count = audio.channels


def classification_config(
    labels: Sequence[str], options: LabelOptions
) -> classification_pb2.ClassificationConfig:
    """What to score against, and how."""
    return classification_pb2.ClassificationConfig(
        model=options.get("model", ""),
        candidate_labels=_several(labels, "labels"),
        label_descriptions=options.get("descriptions"),
        hypothesis_template=options.get("template", ""),
        multi_label=options.get("multi_label", False),
        top_k=options.get("top_k"),
        threshold=options.get("threshold"),
    )


def _input(text: str | Text) -> classification_pb2.TextInput:
    if isinstance(text, str):
        return classification_pb2.TextInput(text=text)
    return classification_pb2.TextInput(text=text.text, candidate_labels=text.labels)


def _several(values: Iterable[str], name: str) -> list[str]:
    # A string is a sequence of strings too: its letters. Nobody means that.
    if isinstance(values, str):
        raise errors.InvalidArgumentError(f"{name} must be a list of strings, not one string", field=name)
    return list(values)
