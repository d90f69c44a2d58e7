"""Settings, read from the environment once."""

from __future__ import annotations

import pytest

from earshot import errors
from earshot.classification.settings import ClassificationSettings
from earshot.runtime.admission import AdmissionLimits
from earshot.runtime.settings import ServiceSettings, manual, read
from earshot.stt.settings import SpeechSettings

KINDS = (SpeechSettings, ClassificationSettings)


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_safe(kind: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in kind.model_fields:
        monkeypatch.delenv(f"EARSHOT_{name.upper()}", raising=False)
    settings = read(kind)
    assert settings.host == "127.0.0.1"
    assert settings.max_message_bytes == 64 * 1024 * 1024


def test_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_WORKERS", "3")
    monkeypatch.setenv("EARSHOT_MAX_AUDIO_SECONDS", "12.5")
    settings = read(SpeechSettings)
    assert (settings.workers, settings.max_audio_seconds) == (3, 12.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EARSHOT_PORT", "70000"),
        ("EARSHOT_WORKERS", "0"),
        ("EARSHOT_DRAIN_SECONDS", "-1"),
        ("EARSHOT_GRACE_SECONDS", "inf"),
        ("EARSHOT_LOG_LEVEL", "loud"),
        ("EARSHOT_DEVICE", "cuda:0,tpu"),
        ("EARSHOT_DEVICE", "cuda:0,"),
        ("EARSHOT_MAX_AUDIO_SECONDS", "nan"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.InvalidArgumentError, match=f"{name}='{value}'"):
        read(SpeechSettings)


@pytest.mark.parametrize(
    ("device", "devices", "processes"),
    [("auto", ("auto",), 2), ("cuda:0,cuda:1, cpu", ("cuda:0", "cuda:1", "cpu"), 6)],
)
def test_each_device_has_its_workers(
    device: str, devices: tuple[str, ...], processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_DEVICE", device)
    monkeypatch.setenv("EARSHOT_WORKERS", "2")
    settings = read(SpeechSettings)
    assert (settings.devices, settings.processes) == (devices, processes)
    assert AdmissionLimits.of(settings).at_work == processes


@pytest.mark.parametrize("kind", KINDS)
def test_the_manual_has_every_setting(kind: type[ServiceSettings]) -> None:
    text = manual(kind)
    for name, field in kind.model_fields.items():
        assert f"EARSHOT_{name.upper()}" in text
        assert field.description
