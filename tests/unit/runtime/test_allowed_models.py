"""Who may use which models, and what a file of it that changes does."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from earshot import errors
from earshot.runtime import calls, watched
from earshot.runtime.allowed_models import AllowedModels
from earshot.runtime.calls import Call

TABLE = {"alice": ["*"], "bob": ["tiny*", "en-us"], "nobody": [], "*": ["free"]}
CASES = [
    ("alice", "anything", True),
    ("bob", "tiny.en", True),
    ("bob", "tiny", True),
    ("bob", "en-us", True),
    ("bob", "en-us-2", False),
    ("bob", "large", False),
    ("bob", "free", True),
    ("nobody", "tiny", False),
    ("nobody", "free", True),
    ("carol", "free", True),
    ("carol", "tiny", False),
    ("", "free", True),
    ("", "tiny", False),
    ("*", "tiny", False),
]


def _write(file: Path, table: Any) -> Path:
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(table))
    return fresh.replace(file)


def _by(client: str) -> None:
    calls.begin(Call(claimed_client=client))


@pytest.mark.parametrize(("client", "model", "may"), CASES)
def test_by_name_and_by_what_everyone_may(tmp_path: Path, client: str, model: str, may: bool) -> None:
    allowed = AllowedModels(_write(tmp_path / "models.json", TABLE))
    _by(client)
    assert allowed.admit(model) == may
    if may:
        allowed.check(model)
        return
    with pytest.raises(errors.PermissionDeniedError) as refused:
        allowed.check(model)
    assert refused.value.reason == "MODEL_NOT_ALLOWED"
    assert f"{model!r}" in refused.value.message
    assert (client or "no name") in refused.value.message


def test_without_a_file_all_may_use_all() -> None:
    _by("")
    AllowedModels(None).check("anything")


@pytest.mark.parametrize("bad", ["[", "[]", '{"a": "b"}', '{"a": [1]}', "", b"\xff"])
def test_a_file_that_is_none_stops_the_start(tmp_path: Path, bad: str | bytes) -> None:
    file = tmp_path / "models.json"
    file.write_bytes(bad if isinstance(bad, bytes) else bad.encode())
    with pytest.raises(errors.FailedPreconditionError, match=r"no allowed models in .*models\.json"):
        AllowedModels(file)


def test_a_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(errors.FailedPreconditionError, match="allowed models"):
        AllowedModels(tmp_path / "nothing.json")


def test_a_change_holds_and_one_that_cannot_be_read_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1.0)
    monkeypatch.setattr(watched, "time", SimpleNamespace(monotonic=lambda: clock.now))
    file = _write(tmp_path / "models.json", {"bob": ["tiny"]})
    allowed = AllowedModels(file)
    _by("bob")
    for table, may in (({"bob": ["large"]}, False), ({"bob": 7}, False), ({"bob": ["t*"]}, True)):
        _write(file, table)
        clock.now += 2
        assert allowed.admit("tiny") == may
    file.unlink()
    clock.now += 2
    assert allowed.admit("tiny")
