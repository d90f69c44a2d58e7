"""Both engines that run Whisper, held to one contract by one real checkpoint."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jiwer
import numpy as np
import pytest
import torch
import whisper
from faster_whisper import WhisperModel
from faster_whisper.transcribe import TranscriptionOptions

from earshot import errors
from earshot.stt.engines import faster_whisper
from earshot.stt.types import Engine, Feature, RecognitionOptions, Samples, Transcript
from earshot.weights import checksums
from tests.unit.stt.engines.conftest import Spoken, never

Load = Callable[..., Any]
# openai-whisper leaves its vocabulary's file to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=["whisper", "faster_whisper"])
def load(request: pytest.FixtureRequest, cache: Path) -> Load:
    loader = importlib.import_module(f"earshot.stt.engines.{request.param}").load
    return lambda model, **options: loader(str(model), {"cache": str(cache), "device": "cpu", **options})


@pytest.fixture(scope="module")
def engine(load: Load, checkpoint: Path) -> Engine:
    return load(checkpoint)  # type: ignore[no-any-return]


@pytest.fixture
def load_faster_whisper(cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Gives the engine with these options, and the seconds of each encoding, as they come."""

    def made(options: dict[str, str]) -> tuple[Engine, list[float]]:
        engine = faster_whisper.load(str(checkpoint), {"cache": str(cache), "device": "cpu", **options})
        seconds: list[float] = []
        encode = WhisperModel.encode

        def spy(model: Any, features: np.ndarray) -> Any:
            seconds.append(features.shape[-1] / 100)
            return encode(model, features)

        monkeypatch.setattr(WhisperModel, "encode", spy)
        return engine, seconds

    return made


@pytest.fixture(scope="module")
def george(digits: Callable[[str], Spoken]) -> Spoken:
    return digits("george.flac").up_to(36)


@pytest.fixture(scope="module")
def heard(engine: Engine, george: Spoken) -> Transcript:
    return engine.transcribe(george.samples, RecognitionOptions(word_offsets=True), never)


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper that knows nothing yet, in the shape of those for all languages."""
    torch.manual_seed(1)
    dims = whisper.model.ModelDimensions(80, 1500, 64, 2, 1, 51865, 448, 64, 2, 1)
    model = whisper.Whisper(dims)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    with torch.no_grad():  # it always takes the end of the text for the likeliest, which saves time
        model.decoder.ln.bias.fill_(1.0)
        model.decoder.token_embedding.weight[50257].fill_(1.0)
    path = tmp_path_factory.mktemp("models") / "multilingual.pt"
    torch.save({"dims": vars(dims), "model_state_dict": model.state_dict()}, path)
    return path


def test_asking_for_words_loses_none(engine: Engine, digits: Callable[[str], Spoken]) -> None:
    """Both libraries throw away a segment whose words they align to no time at all, as a lone digit's."""
    theo = digits("theo.flac").up_to(45)
    plain = engine.transcribe(theo.samples, RecognitionOptions(), never)
    with_words = engine.transcribe(theo.samples, RecognitionOptions(word_offsets=True), never)
    assert with_words.text == plain.text


def inner(engine: Engine) -> Any:
    """The library's own model."""
    return vars(engine)["_model"]


def spied(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of each call of the library, as they come."""
    calls: list[dict[str, Any]] = []
    transcribe = inner(engine).transcribe

    def spy(waveform: np.ndarray, **arguments: Any) -> Any:
        calls.append({"seconds": len(waveform) / 16_000, **arguments})
        return transcribe(waveform, **arguments)

    monkeypatch.setattr(inner(engine), "transcribe", spy)
    return calls


def test_digits_are_heard_as_well_as_the_checkpoint_can(heard: Transcript, george: Spoken) -> None:
    errors_made = jiwer.process_words(george.text, heard.text.lower())
    made = errors_made.substitutions + errors_made.deletions + errors_made.insertions
    assert made <= 0.008 * len(george.words) + 1  # 0.8 % by the checkpoint's README, and one for chance
    assert len(george.words) > 20
    assert len(george.samples) > 30 * 16_000


def test_words_are_where_they_were_said(heard: Transcript, george: Spoken) -> None:
    words = [word for segment in heard.segments for word in segment.words]
    close = sum(
        any(
            abs((word.start + word.end) / 2 - (start + end) / 2) < 0.5 and word.text.lower() == text
            for word in words
        )
        for text, start, end in george.words
    )
    assert close >= 0.95 * len(george.words)


def test_offsets_are_on_the_clips_clock(heard: Transcript, george: Spoken) -> None:
    seconds = len(george.samples) / 16_000
    starts = [segment.start for segment in heard.segments]
    assert starts == sorted(starts)
    assert len(starts) > 10
    for segment in heard.segments:
        assert 0 <= segment.start <= segment.end <= seconds
        assert segment.text == segment.text.strip() != ""
        assert segment.confidence is not None
        assert 0 < segment.confidence <= 1
        for word in segment.words:
            assert 0 <= word.start <= word.end <= seconds
            assert word.text == word.text.strip() != ""
            assert word.confidence is not None
            assert 0 <= word.confidence <= 1
    assert heard.language == "en"


def test_the_same_clip_gives_the_same_words_whatever_came_before(
    engine: Engine, george: Spoken, digits: Callable[[str], Spoken]
) -> None:
    clip, other = george.samples[:80_000], digits("theo.flac").samples[:80_000]
    first = engine.transcribe(clip, RecognitionOptions(), never)
    engine.transcribe(other, RecognitionOptions(phrase_hints=("nine",)), never)
    assert engine.transcribe(clip, RecognitionOptions(), never) == first
    assert first.segments
    assert all(segment.words == () for segment in first.segments)


def test_faster_whisper_says_the_same_where_it_is_in_doubt(
    load_faster_whisper: Load, speech: Callable[[str], Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that knows digits only, and a speech without any: it tries again, and draws nothing."""
    engine, _ = load_faster_whisper({})
    asked: list[Any] = []
    decode = WhisperModel.generate_with_fallback

    def spy(model: Any, encoded: Any, prompt: Any, tokenizer: Any, options: Any) -> Any:
        asked.append(options)
        return decode(model, encoded, prompt, tokenizer, options)

    monkeypatch.setattr(WhisperModel, "generate_with_fallback", spy)
    clip = speech("clips/jfk.flac")
    first = engine.transcribe(clip[:48_000], RecognitionOptions(), never)
    for start in (50_000, 90_000):
        engine.transcribe(clip[start : start + 32_000], RecognitionOptions(), never)
        assert engine.transcribe(clip[:48_000], RecognitionOptions(), never) == first
    assert {options.beam_size for options in asked} == {1, 5}
    assert {options.no_repeat_ngram_size for options in asked} <= {0, 3}
    assert all(options.temperatures == [0.0] for options in asked)


def chosen_of(found: list[Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What our model keeps where upstream's finds these, one after the other; all of them, and no more."""
    left = list(found)
    monkeypatch.setattr(WhisperModel, "generate_with_fallback", lambda *_: left.pop(0))
    options = TranscriptionOptions(**dict.fromkeys(TranscriptionOptions.__dataclass_fields__))
    options.log_prob_threshold, options.no_speech_threshold = -1.0, 0.6
    options.compression_ratio_threshold = 2.4
    kept = object.__new__(faster_whisper._Model).generate_with_fallback(None, [], None, options)
    assert not left
    return kept


@pytest.mark.parametrize(
    ("tried", "chosen"),
    [
        ([(-0.5, 1.0)], 0),
        ([(-1.5, 1.0), (-1.2, 1.0)], 1),  # both are unlikely
        ([(-1.1, 1.0), (-1.3, 1.0)], 0),
        ([(-0.2, 3.0), (-0.6, 1.0)], 1),  # the first repeats itself
        ([(-0.2, 3.0), (-0.1, 2.8), (-0.9, 1.0)], 2),  # and so does the second
        ([(-0.2, 3.0), (-0.3, 2.8), (-0.4, 2.5)], 0),  # all do
    ],
)
def test_of_what_was_tried_the_likeliest_that_repeats_nothing_is_kept(
    tried: list[tuple[float, float]], chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by the mean log probability and the compression of its text; no more is tried than is needed."""
    found = [(SimpleNamespace(no_speech_prob=0.1), one[0], 0.0, one[1]) for one in tried]
    assert chosen_of(found, monkeypatch) is found[chosen]


def test_what_is_probably_no_speech_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    silence = (SimpleNamespace(no_speech_prob=0.9), -1.5, 0.0, 3.0)
    assert chosen_of([silence], monkeypatch) is silence


def test_where_nobody_speaks_nothing_is_heard_and_nothing_is_run(
    engine: Engine, nonspeech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = spied(engine, monkeypatch)
    assert engine.transcribe(nonspeech, RecognitionOptions(), never).segments == ()
    assert calls == []


def test_it_stops_between_windows_once_nobody_waits(
    engine: Engine, george: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = spied(engine, monkeypatch)
    with pytest.raises(errors.CancelledError):
        engine.transcribe(george.samples, RecognitionOptions(), lambda: len(calls) > 0)
    assert len({call["seconds"] for call in calls}) == 1


def test_what_is_wanted_reaches_the_library(
    engine: Engine, george: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = spied(engine, monkeypatch)
    wanted = RecognitionOptions("en", word_confidence=True, phrase_hints=("nine", "four"))
    engine.transcribe(george.samples[:48_000], wanted, never)
    assert calls
    for call in calls:
        assert call["initial_prompt"] == "nine, four"
        assert call["language"] == "en"
        assert call["task"] == "transcribe"
        assert call["word_timestamps"]
        assert not call["condition_on_previous_text"]


def test_windows_are_as_long_as_suits_the_model_or_as_one_says(
    load: Load,
    checkpoint: Path,
    multilingual: Path,
    speech: Callable[[str], Samples],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip = speech("clips/jfk.flac")  # 11 s
    for options, longest in (({}, 2.0), ({"max_window_seconds": "6"}, 6.0)):
        engine = load(checkpoint, **options)
        calls = spied(engine, monkeypatch)
        engine.transcribe(clip, RecognitionOptions(), never)
        assert longest / 2 < max(call["seconds"] for call in calls) <= longest + 0.6


@pytest.mark.parametrize(
    ("options", "clip_seconds", "encoded"),
    [
        ({}, 11, 10.0),
        ({"context_seconds": "30"}, 3, 30.0),
        ({"context_seconds": "2.5", "max_window_seconds": "11"}, 11, 12.0),
    ],
    ids=["small models", "as one says", "a long window"],
)
def test_no_more_is_encoded_than_suits_the_model_or_as_one_says(
    options: dict[str, str],
    clip_seconds: float,
    encoded: float,
    load_faster_whisper: Load,
    speech: Callable[[str], Samples],
) -> None:
    """Of faster-whisper: the encoder of openai-whisper takes 30 s and nothing else."""
    engine, seconds = load_faster_whisper(options)
    clip = np.tile(speech("clips/jfk.flac"), 3)[: round(clip_seconds * 16_000)]
    assert engine.transcribe(clip, RecognitionOptions(), never).language == "en"
    assert max(seconds) == encoded


def test_an_english_checkpoint_says_that_it_knows_no_more(engine: Engine, checkpoint: Path) -> None:
    info = engine.info
    assert (info.name, info.languages) == ("whisper-digits", ("en",))
    assert info.engine in {"whisper", "faster-whisper"}
    assert info.checksum == checksums.of(checkpoint)
    assert set(info.features) == {Feature.WORD_TIME_OFFSETS, Feature.WORD_CONFIDENCE, Feature.PHRASE_HINTS}


def test_a_multilingual_checkpoint_detects_and_translates(
    load: Load, multilingual: Path, speech: Callable[[str], Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(multilingual, max_window_seconds="4")
    info = engine.info
    assert {Feature.LANGUAGE_DETECTION, Feature.TRANSLATION} <= set(info.features)
    assert info.languages[0] == "en"
    assert len(info.languages) == len(set(info.languages)) == 99
    assert {"de", "fr", "jv"} <= set(info.languages)
    assert not {"jw", "yue"} & set(info.languages)
    calls = spied(engine, monkeypatch)
    clip = speech("clips/jfk.flac")[: 16_000 * 6]
    found = engine.transcribe(clip, RecognitionOptions(), never)
    assert found.language in info.languages
    assert calls[0]["language"] is None
    assert len({call["seconds"] for call in calls}) > 1
    assert calls[-1]["language"] == {"jv": "jw"}.get(found.language, found.language)
    calls.clear()
    found = engine.transcribe(clip[:48_000], RecognitionOptions("jv", translate=True), never)
    assert {(call["task"], call["language"]) for call in calls} == {("translate", "jw")}
    assert found.language == "jv"


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_checkpoint_is_refused(load: Load, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wrong.pt").write_bytes(content)
    with pytest.raises(errors.FailedPreconditionError, match=r"wrong\.pt") as caught:
        load(tmp_path / "wrong.pt", cache=str(tmp_path / "cache"))
    assert caught.value.reason == "MODEL_NOT_READABLE"
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix != ".lock" and path.is_file()]


def test_a_checkpoint_that_runs_code_is_refused(load: Load, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"dims": Evil(), "model_state_dict": {}}, tmp_path / "evil.pt")
    with pytest.raises(errors.FailedPreconditionError):
        load(tmp_path / "evil.pt", cache=str(tmp_path / "cache"))
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_not_there(load: Load) -> None:
    with pytest.raises(errors.FailedPreconditionError, match="earshot models pull") as caught:
        load("tiny.en")
    assert caught.value.reason == "MODEL_NOT_PRESENT"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(load: Load, checkpoint: Path) -> None:
    for device in ("cuda", "cuda:1"):
        with pytest.raises(errors.FailedPreconditionError, match=f"no GPU {device}") as caught:
            load(checkpoint, device=device)
        assert caught.value.field == "device"
