"""What an engine can be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot import errors
from earshot.stt.engines.options import EngineOptions


def test_defaults(tmp_path: Path) -> None:
    assert EngineOptions.read({"cache": str(tmp_path)}) == EngineOptions(tmp_path, "auto", 1, 0.0, 0.0, "")


def test_all_that_can_be_said(tmp_path: Path) -> None:
    told = {
        "cache": str(tmp_path),
        "device": "cpu",
        "threads": "4",
        "max_window_seconds": "7.5",
        "context_seconds": "10",
        "compute_type": "int8_float32",
        "colour": "green",
    }
    assert EngineOptions.read(told) == EngineOptions(tmp_path, "cpu", 4, 7.5, 10.0, "int8_float32")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device", "tpu"),
        ("device", "cuda:0,cuda:1"),
        ("threads", "0"),
        ("threads", "many"),
        ("max_window_seconds", "29"),
        ("max_window_seconds", "-1"),
        ("max_window_seconds", "nan"),
    ],
)
def test_what_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=name) as caught:
        EngineOptions.read({name: value})
    assert caught.value.field == name
    assert repr(value) in caught.value.message
