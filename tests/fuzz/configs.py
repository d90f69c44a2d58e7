"""What an operator writes: variables of the environment, and files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from earshot import errors
from earshot.classification.settings import ClassificationSettings
from earshot.local import access as access_file
from earshot.local import keys as key_files
from earshot.quotas.settings import QuotaSettings
from earshot.quotas.types import Unit
from earshot.runtime.allowed_models import AllowedModels
from earshot.runtime.seals import KeyRing
from earshot.runtime.settings import ServiceSettings, read
from earshot.stt.settings import SpeechSettings

SETTINGS: Final[tuple[type[ServiceSettings], ...]] = (SpeechSettings, ClassificationSettings)
_MOST: Final = 2**63  # what a ledger can count up to


def variable(data: bytes) -> None:
    """``name=value`` in a service's environment; the first byte says of which service."""
    kind = SETTINGS[data[0] % len(SETTINGS)] if data else SETTINGS[0]
    text = data[1:].decode("utf-8", errors="replace").replace("\0", "")  # no environment has one
    said, _, value = text.partition("=")
    names = list(kind.model_fields)
    name = said if said in names else names[len(said) % len(names)]
    with _set(f"EARSHOT_{name.upper()}", value):
        try:
            made: Any = read(kind)
        except errors.InvalidArgumentError as error:
            assert name in error.message.lower() or "nested" in error.message
            return
    _used(made)


@contextmanager
def _set(name: str, value: str) -> Iterator[None]:
    before = dict(os.environ)
    for other in before:
        if other.startswith("EARSHOT_"):
            del os.environ[other]
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _used(made: Any) -> None:
    """What is made of settings at the first call is possible too."""
    assert made.devices
    assert made.max_message_bytes > 0
    if isinstance(made, QuotaSettings):
        _counted(made)
    if isinstance(made, SpeechSettings):
        assert made.rules.redact is not None
        assert made.audio_limits.max_seconds > 0
    if isinstance(made, ClassificationSettings):
        assert made.label_limits.max_labels > 0


def _counted(made: QuotaSettings) -> None:
    for client in ("acme", *made.quotas):
        for unit in Unit:
            assert all(-1 <= limit < _MOST for limit in made.quota_of(client).limits(unit))
    for model in ("tiny", *made.prices):
        assert all(round(made.price_of(model).rate(unit)) >= 0 for unit in Unit)


def resume_keys(data: bytes) -> None:
    """The file of keys that sign resume tokens."""
    with _file(data) as path:
        try:
            keys = KeyRing(path).keys
        except errors.FailedPreconditionError:
            return
    assert keys
    assert min(map(len, keys)) >= 16


def access(data: bytes) -> None:
    """The file of who may call."""
    with _file(data) as path:
        try:
            made = access_file.read(path)
        except errors.InvalidArgumentError as error:
            assert error.field == "access"
            return
    assert made.asks or not (made.clients or made.models or made.rates.clients)


def api_keys(data: bytes) -> None:
    """The two files of API keys, a zero between them."""
    records, _, envoy = data.decode("utf-8", errors="replace").partition("\0")
    files = {key_files.RECORDS: records} | ({key_files.ENVOY: envoy} if envoy else {})
    try:
        made = key_files.read(files)
    except errors.FailedPreconditionError:
        return
    kept = {record.sha256 for record in made.records}
    assert all(key_files.digest(key) in kept for _, key in made.credentials)
    assert key_files.read(made.to_files()) == made


def allowed_models(data: bytes) -> None:
    """The file of who may use which model."""
    with _file(data) as path:
        try:
            AllowedModels(path).admit("tiny")
        except errors.FailedPreconditionError:
            return


@contextmanager
def _file(content: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


KINDS: Final[tuple[Callable[[bytes], None], ...]] = (
    *(variable, resume_keys, access, api_keys, allowed_models),
)
