"""What the chart can render beside its defaults is accepted by the API server, field by field."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cluster.kube import CHART, RELEASE, Namespace, kubectl
from tests.lacking import lacking

CASES = sorted((Path(__file__).parents[1] / "chart" / "cases").glob("*.yaml"))
# Of Prometheus' operator, KEDA, cert-manager and the Gateway API: the chart has an object of each.
FOREIGN = (
    "certificates.cert-manager.io",
    "podmonitors.monitoring.coreos.com",
    "scaledobjects.keda.sh",
    "grpcroutes.gateway.networking.k8s.io",
    "httproutes.gateway.networking.k8s.io",
)


@pytest.fixture(scope="module", autouse=True)
def definitions() -> None:
    """Of the kinds that are not Kubernetes' own."""
    known = kubectl("get", "customresourcedefinitions", "--output=name")
    missing = [name for name in FOREIGN if f"/{name}\n" not in known]
    if missing:
        lacking(f"the cluster does not know {', '.join(missing)}: `cluster crds`")


def _rendered(case: Path, space: Namespace) -> str:
    command = ["helm", "template", RELEASE, str(CHART), "--namespace", space.name, "--values", str(case)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _apply(text: str, space: Namespace) -> str:
    return space.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename", "-", text=text)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_every_case_is_accepted(space: Namespace, case: Path) -> None:
    text = _rendered(case, space)
    accepted = _apply(text, space).splitlines()
    assert len(accepted) == text.count("\nkind: ")
    assert all(line.endswith("created (server dry run)") for line in accepted)


@pytest.mark.parametrize("kind", ["PodMonitor", "ScaledObject", "GRPCRoute", "HTTPRoute", "Certificate"])
def test_a_field_that_is_unknown_is_not(space: Namespace, kind: str) -> None:
    """Each of the foreign kinds is in a case, and checked."""
    every = "\n---\n".join(_rendered(case, space) for case in CASES)
    document = next(part for part in every.split("\n---\n") if f"\nkind: {kind}\n" in part)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        _apply(document.replace("\nspec:\n", "\nspec:\n  bogus: 1\n"), space)
    assert 'unknown field "spec.bogus"' in refused.value.stderr
