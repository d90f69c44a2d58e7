"""Names of weights."""

from __future__ import annotations

import subprocess
import sys

import pytest
import whisper
from faster_whisper.utils import _MODELS

from earshot import errors
from earshot.weights import Kind, Weights, find, known


def test_whisper_is_published_as_openai_whisper_says() -> None:
    ours = {one.name: one.source for one in known() if one.kind == Kind.WHISPER}
    assert ours.items() <= whisper._MODELS.items()
    assert {find(name).source for name in whisper._MODELS} == set(whisper._MODELS.values())


def test_the_checksum_is_the_one_in_the_address() -> None:
    for one in known():
        assert one.is_file == (one.kind == Kind.WHISPER)
        if one.is_file:
            assert one.checksum == f"sha256:{one.source.split('/')[-2]}"


def test_faster_whisper_has_the_repositories_that_it_names_itself() -> None:
    for one in known():
        if one.kind == Kind.FASTER_WHISPER:
            assert one.source in _MODELS.values()
    for short in ("tiny.en", "large", "turbo", "distil-small.en"):
        assert find(short, Kind.FASTER_WHISPER).source == _MODELS[short]


def test_names_are_unique_within_a_kind() -> None:
    names = [(one.kind, one.name) for one in known()]
    assert len(names) == len(set(names))
    assert {one.kind for one in known()} == set(Kind)


def test_an_alias_is_the_same_weights() -> None:
    assert find("turbo") == find("large-v3-turbo", Kind.WHISPER)


def test_any_repository_of_a_kind_that_is_said() -> None:
    assert find("someone/nli-model_v1.2", Kind.NLI) == Weights(
        "someone/nli-model_v1.2", Kind.NLI, "someone/nli-model_v1.2"
    )
    assert find("facebook/bart-large-mnli").kind == Kind.NLI


@pytest.mark.parametrize(
    ("name", "kind", "error", "message"),
    [
        ("smal.en", None, errors.NotFoundError, "did you mean small.en"),
        ("no such", Kind.NLI, errors.NotFoundError, "no weights are called"),
        ("", None, errors.NotFoundError, "no weights are called"),
        ("../../etc/passwd", Kind.NLI, errors.NotFoundError, "no weights are called"),
        ("../secrets", Kind.NLI, errors.NotFoundError, "no weights are called"),
        ("a/b/c", Kind.NLI, errors.NotFoundError, "no weights are called"),
        ("someone/something", None, errors.InvalidArgumentError, "say what kind"),
        ("someone/something", Kind.WHISPER, errors.InvalidArgumentError, "single files"),
    ],
)
def test_what_cannot_be_found(
    name: str, kind: Kind | None, error: type[errors.EarshotError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        find(name, kind)
    assert type(caught.value) is error
    assert caught.value.field in {"model", "kind"}


def test_a_repository_cannot_lead_out_of_the_cache() -> None:
    for name in ("x/..", "../x", "./x", "x/."):
        with pytest.raises(errors.NotFoundError):
            find(name, Kind.NLI)


def test_importing_the_room_loads_no_library() -> None:
    heavy = {
        "torch",
        "whisper",
        "faster_whisper",
        "huggingface_hub",
        "filelock",
        "grpc",
        "numpy",
        "platformdirs",
    }
    code = f"import sys, earshot.weights; earshot.weights.known(); print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
