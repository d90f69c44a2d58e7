"""Which engine is taken, by what is there."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from earshot import errors
from earshot.stt.engines import selection
from earshot.stt.engines.selection import select

FOLDER = "faster-whisper/Systran--faster-whisper-base.en"
FILE = "whisper/tiny.en.pt"


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Puts weights into the cache, each later than the one before."""

    def put(*names: str) -> Path:
        for age, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if name.endswith(".pt") else path.mkdir()
            os.utime(path, (1_000 + age, 1_000 + age))
        return tmp_path

    return put


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """As if these libraries were not installed."""

    def missing(*names: str) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(selection, "find_spec", lambda name: None if name in names else find(name))

    return missing


def test_without_weights_it_is_the_embedded_one_and_says_why(tmp_path: Path) -> None:
    chosen = select("auto", "", tmp_path)
    assert (chosen.engine, chosen.model) == ("pocketsphinx", "pocketsphinx-en-us")
    assert chosen.loader == "earshot.stt.engines.pocketsphinx:load"
    assert str(tmp_path) not in chosen.fallback_reason, "callers see it"
    assert "in the cache" in chosen.fallback_reason
    assert "earshot models pull" in chosen.fallback_reason


@pytest.mark.parametrize(
    ("there", "model", "engine", "expected"),
    [
        ([FOLDER], "", "faster-whisper", "Systran/faster-whisper-base.en"),
        ([FILE], "", "faster-whisper", "tiny.en"),
        ([FOLDER, FILE], "", "faster-whisper", "tiny.en"),  # the last one pulled
        ([FILE, FOLDER], "", "faster-whisper", "Systran/faster-whisper-base.en"),
        ([FILE, FOLDER], "tiny.en", "faster-whisper", "tiny.en"),
        ([FILE, FOLDER], "base.en", "faster-whisper", "base.en"),
        ([FILE], "pocketsphinx-en-us", "pocketsphinx", "pocketsphinx-en-us"),
    ],
)
def test_auto_takes_the_best_that_is_there(
    put: Callable[..., Path], there: list[str], model: str, engine: str, expected: str
) -> None:
    chosen = select("auto", model, put(*there))
    assert (chosen.engine, chosen.model, chosen.fallback_reason) == (engine, expected, "")


def test_auto_takes_a_file_or_a_folder(put: Callable[..., Path]) -> None:
    cache = put(FOLDER, FILE)
    for path in (cache / FILE, cache / FOLDER):
        chosen = select("auto", str(path), Path("/nowhere"))
        assert (chosen.engine, chosen.model) == ("faster-whisper", str(path))


def test_auto_does_with_what_is_installed(put: Callable[..., Path], missing: Callable[..., None]) -> None:
    missing("ctranslate2")
    chosen = select("auto", "", put(FILE))
    assert (chosen.engine, chosen.model) == ("whisper", "tiny.en")
    assert chosen.fallback_reason == "faster-whisper needs ctranslate2: pip install '.[stt]' in the checkout"
    missing("ctranslate2", "torch")
    chosen = select("auto", "", put())
    assert chosen.engine == "pocketsphinx"
    assert "ctranslate2" in chosen.fallback_reason
    assert "torch" in chosen.fallback_reason


def test_a_checkpoint_is_converted_only_with_what_that_takes(
    put: Callable[..., Path], missing: Callable[..., None]
) -> None:
    missing("transformers")
    chosen = select("auto", "", put(FILE))
    assert chosen.engine == "whisper"
    assert "transformers to convert tiny.en" in chosen.fallback_reason
    assert select("auto", "base.en", put(FOLDER)).engine == "faster-whisper"


@pytest.mark.parametrize("engine", ["auto", "whisper", "faster-whisper"])
def test_a_model_asked_for_by_name_is_not_replaced(engine: str, put: Callable[..., Path]) -> None:
    with pytest.raises(errors.FailedPreconditionError, match=r"earshot models pull small\.en") as caught:
        select(engine, "small.en", put(FILE, FOLDER))
    assert (caught.value.reason, caught.value.field) == ("MODEL_NOT_PRESENT", "model")


@pytest.mark.parametrize(
    ("engine", "there", "model"),
    [
        ("whisper", [FILE], "tiny.en"),
        ("faster-whisper", [FILE], "tiny.en"),
        ("faster-whisper", [FOLDER], "Systran/faster-whisper-base.en"),
    ],
)
def test_an_engine_by_name_takes_what_came_last(
    engine: str, there: list[str], model: str, put: Callable[..., Path]
) -> None:
    chosen = select(engine, "", put(*there))
    assert (chosen.engine, chosen.model, chosen.fallback_reason) == (engine, model, "")


@pytest.mark.parametrize("engine", ["whisper", "faster-whisper"])
def test_an_engine_by_name_without_weights_is_refused(engine: str, tmp_path: Path) -> None:
    with pytest.raises(errors.FailedPreconditionError, match=f"{engine} finds no weights"):
        select(engine, "", tmp_path)


def test_whisper_reads_no_folder(put: Callable[..., Path]) -> None:
    cache = put(FOLDER)
    with pytest.raises(errors.FailedPreconditionError):
        select("whisper", str(cache / FOLDER), cache)


def test_pocketsphinx_by_name(tmp_path: Path, missing: Callable[..., None]) -> None:
    assert select("pocketsphinx", "", tmp_path).fallback_reason == ""
    with pytest.raises(errors.InvalidArgumentError, match="only pocketsphinx-en-us"):
        select("pocketsphinx", "tiny.en", tmp_path)
    missing("pocketsphinx")
    with pytest.raises(errors.FailedPreconditionError, match="pip install"):
        select("pocketsphinx", "", tmp_path)


def test_an_engine_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="take one of auto, whisper") as caught:
        select("kaldi", "", tmp_path)
    assert caught.value.field == "engine"


def test_choosing_loads_no_engine(put: Callable[..., Path]) -> None:
    heavy = {
        "torch",
        "whisper",
        "faster_whisper",
        "ctranslate2",
        "pocketsphinx",
        "transformers",
        "onnxruntime",
        "av",
    }
    code = (
        "import sys, pathlib; from earshot.stt.engines.selection import select;"
        "print(select('auto', '', pathlib.Path(sys.argv[1])).engine);"
        f"print({heavy!r} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(put(FILE, FOLDER))], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["faster-whisper", "set()"]
