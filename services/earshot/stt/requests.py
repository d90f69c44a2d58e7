"""Requests as the core takes them; what the model cannot do is refused, with the field's name."""

from __future__ import annotations

from typing import Final

from earshot import errors
from earshot.audio.formats import AudioFormat, Encoding
from earshot.gen.v1 import audio_pb2
from earshot.stt.types import NO_RULES, Feature, ModelInfo, RecognitionOptions, Redaction, Rules

_Config = audio_pb2.RecognitionConfig
_Explicit = audio_pb2.ExplicitDecodingConfig

_CONFIG: Final = "config"  # path of the RecognitionConfig in a unary request
_Features = audio_pb2.RecognitionFeatures
_REDACTION: Final = "REDACTION_KIND_"
_MAX_HINTS, _MAX_HINT_CHARACTERS = 100, 100


def audio_format(config: _Config, path: str = _CONFIG) -> AudioFormat:
    """How the audio is encoded. ``path`` is the config's own. Raises ``InvalidArgumentError``."""
    if config.WhichOneof("decoding") != "explicit_decoding_config":
        return AudioFormat()
    explicit = config.explicit_decoding_config
    stated = AudioFormat(_encoding(explicit, path), explicit.sample_rate_hertz, explicit.audio_channel_count)
    stated.check(path)
    return stated


def _encoding(explicit: _Explicit, path: str) -> Encoding:
    try:
        name = _Explicit.AudioEncoding.Name(explicit.encoding)
        return Encoding[name.removeprefix("AUDIO_ENCODING_")]
    except (ValueError, KeyError):
        known = ", ".join(encoding.name for encoding in Encoding)
        raise errors.InvalidArgumentError(
            f"encoding {explicit.encoding} is none that this service knows; state one of {known}",
            reason="ENCODING_UNKNOWN",
            field=f"{path}.explicit_decoding_config.encoding",
        ) from None


def options(
    config: _Config, model: ModelInfo, rules: Rules = NO_RULES, path: str = _CONFIG
) -> RecognitionOptions:
    """What is wanted of ``model``, and by ``rules``. Raises ``InvalidArgumentError`` where it cannot."""
    _check_model(config, model, path)
    _check_features(config, model, path)
    return RecognitionOptions(
        redact=_redact(config, rules, path),
        profanity_filter=rules.profanity_filter or config.features.profanity_filter,
        language=_language(config, model, path),
        translate=config.task == _Config.TASK_TRANSLATE,
        word_offsets=config.features.enable_word_time_offsets,
        word_confidence=config.features.enable_word_confidence,
        phrase_hints=_phrase_hints(config, path),
    )


def _check_model(config: _Config, model: ModelInfo, path: str) -> None:
    if config.model not in ("", model.name):
        raise errors.InvalidArgumentError(
            f"no model {config.model[:100]!r} is served here; leave it empty or take {model.name!r}",
            reason="MODEL_UNKNOWN",
            field=f"{path}.model",
        )


def _check_features(config: _Config, model: ModelInfo, path: str) -> None:
    features = config.features
    wanted = (
        (features.enable_word_time_offsets, Feature.WORD_TIME_OFFSETS, "features.enable_word_time_offsets"),
        (features.enable_word_confidence, Feature.WORD_CONFIDENCE, "features.enable_word_confidence"),
        (features.phrase_hints, Feature.PHRASE_HINTS, "features.phrase_hints"),
        (config.task == _Config.TASK_TRANSLATE, Feature.TRANSLATION, "task"),
    )
    for asked, feature, field in wanted:
        if asked and feature not in model.features:
            raise errors.InvalidArgumentError(
                f"model {model.name!r} ({model.engine}) cannot do {feature}: "
                f"leave {field} unset (see ListModels)",
                reason="FEATURE_NOT_SUPPORTED",
                field=f"{path}.{field}",
            )
    if config.task not in _Config.Task.values():
        raise errors.InvalidArgumentError(
            f"task {config.task} is none that this service knows",
            reason="TASK_UNKNOWN",
            field=f"{path}.task",
        )


def _redact(config: _Config, rules: Rules, path: str) -> tuple[Redaction, ...]:
    """The kinds that are to be taken out."""
    possible = [kind for kind in Redaction if kind is not Redaction.NAME or rules.names]
    names = []
    for number in config.features.redact:
        known = _Features.RedactionKind.values()
        names.append(_Features.RedactionKind.Name(number) if number in known else str(number))
    kinds = {name.removeprefix(_REDACTION).lower() for name in names}
    unknown = kinds - set(possible)
    if unknown:
        raise errors.InvalidArgumentError(
            f"{', '.join(sorted(unknown))} cannot be taken out of transcripts; it can be one of "
            f"{', '.join(possible)}",
            reason="REDACTION_NOT_SUPPORTED",
            field=f"{path}.features.redact",
        )
    return tuple(kind for kind in possible if kind in rules.redact or kind in kinds)


def _language(config: _Config, model: ModelInfo, path: str) -> str:
    """The model's own code for the language asked for; empty to detect it."""
    asked = config.language_code
    if asked.lower() in ("", "auto"):
        return "" if Feature.LANGUAGE_DETECTION in model.features else model.languages[0]
    known = {language.lower(): language for language in model.languages}
    for candidate in (asked.lower(), asked.lower().partition("-")[0]):
        if candidate in known:
            return known[candidate]
    raise errors.InvalidArgumentError(
        f"model {model.name!r} does not know language {asked[:35]!r}; it knows {_some(model.languages)}",
        reason="LANGUAGE_NOT_SUPPORTED",
        field=f"{path}.language_code",
    )


def _some(names: tuple[str, ...], most: int = 12) -> str:
    rest = f" and {len(names) - most} more (see ListModels)" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _phrase_hints(config: _Config, path: str) -> tuple[str, ...]:
    hints = tuple(config.features.phrase_hints)
    if len(hints) > _MAX_HINTS or any(len(hint) > _MAX_HINT_CHARACTERS for hint in hints):
        raise errors.InvalidArgumentError(
            f"at most {_MAX_HINTS} phrase hints of {_MAX_HINT_CHARACTERS} characters each",
            reason="PHRASE_HINTS_TOO_LONG",
            field=f"{path}.features.phrase_hints",
        )
    return hints
