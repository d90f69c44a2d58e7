"""What an operator writes down, and what is wrong with it."""

from __future__ import annotations

import pytest

from earshot import errors
from earshot.quotas.settings import QuotaSettings
from earshot.quotas.types import Unit
from earshot.runtime.settings import read


def test_quotas_and_prices_come_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_QUOTAS", '{"acme": {"audio_seconds_per_day": 60.5}, "*": {}}')
    monkeypatch.setenv("EARSHOT_PRICES", '{"*": {"audio_minute": 0.006, "thousand_characters": 0.01}}')
    monkeypatch.setenv("EARSHOT_OPERATORS", "boss, auditor")
    made = read(QuotaSettings)
    assert made.quota_of("acme").limits(Unit.AUDIO) == (-1, 60_500, -1)
    assert made.quota_of("acme").limits(Unit.CHARACTERS) == (-1, -1, -1)
    assert made.quota_of("other").limits(Unit.AUDIO) == (-1, -1, -1)
    assert made.price_of("whisper").rate(Unit.AUDIO) * 60_000 == pytest.approx(0.006e9)
    assert made.price_of("whisper").rate(Unit.CHARACTERS) * 1000 == pytest.approx(0.01e9)
    assert made.operator_names == {"boss", "auditor"}


def test_a_quota_of_nothing_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_QUOTAS", '{"*": {"characters_per_month": 0}}')
    assert read(QuotaSettings).quota_of("anyone").limits(Unit.CHARACTERS) == (0, -1, -1)


WRONG = [
    ("EARSHOT_QUOTAS", "{", "quotas"),
    ("EARSHOT_QUOTAS", '{"acme": {"audio_per_day": 1}}', "at acme.audio_per_day: Extra inputs"),
    (
        "EARSHOT_QUOTAS",
        '{"acme": {"audio_seconds_per_day": -1}}',
        "at acme.audio_seconds_per_day: Input should",
    ),
    ("EARSHOT_QUOTAS", '{"*": {"audio_seconds_per_day": 1e306}}', "at *.audio_seconds_per_day: Input should"),
    pytest.param("EARSHOT_QUOTAS", "[" * 3_000, "nested too deep", id="nested"),
    ("EARSHOT_PRICES", '{"*": {"audio_minute": "much"}}', "EARSHOT_PRICES"),
    ("EARSHOT_QUOTA_WHEN_AWAY", "ajar", "EARSHOT_QUOTA_WHEN_AWAY='ajar'"),
    ("EARSHOT_CURRENCY", "dollars", "EARSHOT_CURRENCY='dollars'"),
    ("EARSHOT_QUOTA_REDIS_URL", "http://:hunter2@redis", "EARSHOT_QUOTA_REDIS_URL: "),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_what_is_wrong_is_named_and_no_secret_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.InvalidArgumentError) as caught:
        read(QuotaSettings)
    assert message in caught.value.message
    assert "hunter2" not in caught.value.message


def test_the_url_is_in_no_picture_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_QUOTA_REDIS_URL", "redis://:hunter2@redis:6379/0")
    assert "hunter2" not in repr(read(QuotaSettings))
