"""Benchmarks in their short form, so that they cannot rot: what comes out is not looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.__main__ import known

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the digits checkpoint is converted, once."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["codecs", "rpc_cost", "versus_fastapi"])
def test_one_of_each_kind_runs(name: str, tmp_path: Path, cache: Path, shared: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", name, "--short", "--results", str(tmp_path)]
    environment = os.environ | {"EARSHOT_SHARED": str(shared), "EARSHOT_CACHE": str(cache)}

    run = subprocess.run(
        command, cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True, timeout=580
    )

    assert run.returncode == 0, run.stderr
    report, _ = harness.load(tmp_path / f"{name}.json")
    assert report.ratios


@pytest.mark.parametrize("name", known())
def test_every_one_can_be_called(name: str) -> None:
    assert callable(import_module(f"benchmarks.cases.{name}").measure)


def test_a_name_that_there_is_not_is_refused() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nonsense"],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 2
    assert "there is no benchmark nonsense" in run.stderr
