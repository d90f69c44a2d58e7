"""What the chart renders, case by case: kept, valid, and the same as the plain manifests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.chart.helm import CASES, CHART

REPOSITORY = CHART.parents[1]
RENDERED = Path(__file__).parent / "rendered"
VERSIONS = ("1.30", "1.32", "1.34", "1.37")
# Of other projects; their definitions are not Kubernetes' own.
FOREIGN = {
    "monitoring.coreos.com/v1",
    "keda.sh/v1alpha1",
    "cert-manager.io/v1",
    "gateway.networking.k8s.io/v1",
}
# Fields that came with a version, and the cases that use them.
SINCE = {"bare": "1.31"}  # image volumes


def test_nothing_that_is_generated_is_stale() -> None:
    """Envoy's configuration, the README, the cases and deploy/k8s are as ``generate.py`` makes them."""
    command = [sys.executable, str(REPOSITORY / "charts" / "generate.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout == ""
    assert run.returncode == 0, run.stderr


def test_every_case_is_kept_and_no_other() -> None:
    assert [path.name for path in sorted(RENDERED.iterdir())] == [path.name for path in CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_lint(case: Path) -> None:
    command = ["helm", "lint", "--strict", str(CHART), "--values", str(case)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("case", "version"),
    [(case, version) for case in CASES for version in VERSIONS if version >= SINCE.get(case.stem, "")],
    ids=lambda item: getattr(item, "stem", item),
)
def test_valid_in_every_version(case: Path, version: str) -> None:
    found = list(yaml.safe_load_all((RENDERED / case.name).read_text(encoding="utf-8")))
    own = [document for document in found if document["apiVersion"] not in FOREIGN]
    assert len(own) > 5
    for document in own:
        kubernetes_validate.validate(document, version, strict=True)


def test_the_validation_finds_what_is_wrong() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"bogus": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)
