"""``kubectl apply -k`` applies what the chart renders."""

from __future__ import annotations

import copy
import subprocess

import yaml

from tests.chart.helm import CHART, Document, documents

FOLDER = CHART.parents[1] / "deploy" / "k8s"
HELMS_OWN = {"helm.sh/chart", "app.kubernetes.io/managed-by"}


def _kustomized(name: str) -> dict[tuple[str, str], Document]:
    command = ["kubectl", "kustomize", str(FOLDER / name)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return _by_name([document for document in yaml.safe_load_all(run.stdout) if document])


def _by_name(found: list[Document]) -> dict[tuple[str, str], Document]:
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


def _rendered() -> dict[tuple[str, str], Document]:
    # No key is published: it is made beside them.
    values = {"resumeKeys": {"secret": "earshot-resume-keys"}, "tls": {"internal": {"enabled": False}}}
    found = [one for one in documents(values) if "helm.sh/hook" not in one["metadata"].get("annotations", {})]
    for document in found:
        for label in HELMS_OWN:
            del document["metadata"]["labels"][label]
    return _by_name(found)


def test_the_base_is_what_the_chart_renders() -> None:
    base = _kustomized("base")
    space = base.pop(("Namespace", "earshot"))
    assert space["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert base == _rendered()


def test_the_example_changes_only_what_it_says() -> None:
    base, example = _kustomized("base"), _kustomized("example")
    expected = copy.deepcopy(base)
    for (kind, name), document in expected.items():
        if kind != "Deployment":
            continue
        for container in document["spec"]["template"]["spec"]["containers"]:
            container["image"] = container["image"].replace("earshot:0.1.0", "localhost/earshot:dev")
        if name != "earshot-envoy":
            first = document["spec"]["template"]["spec"]["containers"][0]
            first["resources"]["requests"]["cpu"] = "100m"
    assert example == expected
