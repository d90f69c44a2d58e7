"""Tokens that callers carry: what opens them, and what does not."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot import errors
from earshot.runtime import seals, watched
from earshot.runtime.seals import KeyRing, Seals

OLD, NEW = "the key of yesterday", "the key of this morning"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(seals, "time", clock)
    monkeypatch.setattr(watched, "time", clock)
    return clock


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(OLD)
    return path


def _write(path: Path, *lines: str) -> None:
    """As Kubernetes does it: another file takes the place of the first."""
    fresh = path.with_suffix(".new")
    fresh.write_text("\n".join(lines))
    fresh.replace(path)


def _made(keys: Path | None, purpose: str = "test", lifetime: float = 60.0) -> Seals[bytes]:
    return Seals(KeyRing(keys), purpose, bytes, lifetime, "config.token")


def _reason(made: Seals[bytes], token: str) -> str:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        made.open(token)
    assert caught.value.field == "config.token"
    return caught.value.reason


@given(st.binary(max_size=300))
def test_what_was_sealed_opens(content: bytes) -> None:
    made = _made(None)
    assert made.open(made.seal(content)) == content


def test_it_opens_on_every_replica_that_has_the_key(keys: Path) -> None:
    assert _made(keys).open(_made(keys).seal(b"there")) == b"there"


@pytest.mark.parametrize("content", [[], "", {"far": 1}])
def test_content_of_another_type_is_refused(keys: Path, content: object) -> None:
    """As another version of the service may have sealed it."""
    token = Seals(KeyRing(keys), "test", object, 60.0, "config.token").seal(content)
    assert _reason(_made(keys), token) == "RESUME_TOKEN_MALFORMED"


def test_without_a_file_it_opens_here_alone() -> None:
    assert _reason(_made(None), _made(None).seal(b"there")) == "RESUME_TOKEN_FORGED"


@given(st.data())
def test_no_bit_of_it_can_be_changed(data: st.DataObject) -> None:
    made = _made(None)
    raw = bytearray(base64.urlsafe_b64decode(made.seal(b"position 1")))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert _reason(made, base64.urlsafe_b64encode(raw).decode()) == "RESUME_TOKEN_FORGED"


@pytest.mark.parametrize("token", ["x", "no token", "é" * 80, "A" * 40, "=" * 100, "AAAA\n" * 20])
def test_what_is_no_token_is_malformed(token: str) -> None:
    assert _reason(_made(None), token) == "RESUME_TOKEN_MALFORMED"


@given(st.text(max_size=200))
def test_nothing_else_opens(token: str) -> None:
    assert _reason(_made(None), token) in {"RESUME_TOKEN_MALFORMED", "RESUME_TOKEN_FORGED"}


def test_one_for_another_purpose_is_forged(keys: Path) -> None:
    assert _reason(_made(keys), _made(keys, purpose="other").seal(b"there")) == "RESUME_TOKEN_FORGED"


def test_it_expires(clock: Clock, keys: Path) -> None:
    made = _made(keys, lifetime=60)
    token = made.seal(b"there")
    clock.now += 59
    assert made.open(token) == b"there"
    clock.now += 2
    assert _reason(made, token) == "RESUME_TOKEN_EXPIRED"


def test_keys_are_changed_while_seals_are_about(clock: Clock, keys: Path) -> None:
    made = _made(keys)
    before = made.seal(b"before")
    _write(keys, NEW, OLD)
    clock.now += 6
    after = made.seal(b"after")
    assert made.open(before) == b"before"
    _write(keys, NEW)
    clock.now += 6
    assert made.open(after) == b"after"
    assert _reason(made, before) == "RESUME_TOKEN_FORGED"


def test_a_new_key_can_be_known_before_it_signs(clock: Clock, keys: Path) -> None:
    """So that no replica is given a token whose key it has not read yet."""
    late = _made(keys)
    _write(keys, OLD, NEW)
    clock.now += 6
    assert late.open(late.seal(b"there")) == b"there"
    _write(keys, NEW, OLD)
    assert late.open(_made(keys).seal(b"there")) == b"there"


@pytest.mark.parametrize("bad", ["", " \n\n", "short\n", f"{OLD}\nshort", "\xff" * 4, None])
def test_a_file_that_cannot_be_used_leaves_the_keys_as_they_are(
    clock: Clock, keys: Path, bad: str | None
) -> None:
    made = _made(keys)
    token = made.seal(b"there")
    if bad is None:
        keys.unlink()
    else:
        keys.write_bytes(bad.encode("latin-1"))
    clock.now += 6
    assert made.open(token) == b"there"
    _write(keys, NEW)
    clock.now += 6
    assert _reason(made, token) == "RESUME_TOKEN_FORGED"


@pytest.mark.parametrize("bad", ["", " \n\n", "short\n", f"{OLD}\nshort", "\xff" * 4])
def test_with_a_bad_file_it_does_not_start(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "keys"
    path.write_bytes(bad.encode("latin-1"))
    with pytest.raises(errors.FailedPreconditionError):
        KeyRing(path)


def test_a_file_that_comes_later_is_read_then(clock: Clock, tmp_path: Path) -> None:
    made = _made(tmp_path / "keys")
    token = made.seal(b"there")
    assert made.open(token) == b"there"
    _write(tmp_path / "keys", OLD)
    clock.now += 6
    assert _reason(made, token) == "RESUME_TOKEN_FORGED"
    assert _made(tmp_path / "keys").open(made.seal(b"here")) == b"here"
