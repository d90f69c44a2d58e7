"""No pod of the chart may do more than it needs to, in any case that is rendered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.chart.helm import CASES, Document, documents

OWN_UIDS = 10_000  # below it images have users of their own
# What the "restricted" Pod Security standard lets a pod mount; of those a claim may be writable.
VOLUMES = {"emptyDir", "configMap", "secret", "persistentVolumeClaim", "image"}
RIGHTS = {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}


def _cases() -> Iterator[Document]:
    for case in CASES:
        yield yaml.safe_load(case.read_text(encoding="utf-8")) or {}
    yield {"auth": {"apiKeys": {"enabled": True}}, "helmTest": {"apiKeySecret": "key"}}


@pytest.fixture(scope="module")
def found() -> list[Document]:
    """All objects of all cases."""
    return [document for values in _cases() for document in documents(values)]


@pytest.fixture(scope="module")
def pods(found: list[Document]) -> list[Document]:
    """The specs of all pods, those of ``helm test`` too."""
    specs = [one["spec"]["template"]["spec"] for one in found if one["kind"] == "Deployment"]
    tests = [one["spec"] for one in found if one["kind"] == "Pod"]
    assert len(specs) == 3 * (len(CASES) + 1)
    assert tests
    return specs + tests


@pytest.fixture(scope="module")
def containers(pods: list[Document]) -> list[Document]:
    """All of theirs, those that run before too."""
    return [one for pod in pods for one in [*pod["containers"], *pod.get("initContainers", [])]]


def test_no_pod_is_root(pods: list[Document], containers: list[Document]) -> None:
    for pod in pods:
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > OWN_UIDS
        assert security["runAsGroup"] > OWN_UIDS
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers:
        assert not {"runAsUser", "runAsNonRoot", "seccompProfile"} & container["securityContext"].keys()


def test_no_container_can_gain_or_change_anything(containers: list[Document]) -> None:
    for container in containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "hostPort" not in str(container.get("ports", []))


def test_no_pod_has_a_token_or_a_right(pods: list[Document], found: list[Document]) -> None:
    """None of them asks the API server for anything."""
    assert all(pod["automountServiceAccountToken"] is False for pod in pods)
    accounts = [one for one in found if one["kind"] == "ServiceAccount"]
    assert accounts
    assert all(one["automountServiceAccountToken"] is False for one in accounts)
    assert not RIGHTS & {one["kind"] for one in found}


def test_no_pod_sees_its_node(pods: list[Document]) -> None:
    for pod in pods:
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod.keys()
        assert pod["enableServiceLinks"] is False
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        assert kinds <= VOLUMES


def test_secrets_are_read_by_none_but_their_pod_s_group(pods: list[Document]) -> None:
    secrets = [volume["secret"] for pod in pods for volume in pod["volumes"] if "secret" in volume]
    assert secrets
    assert {secret["defaultMode"] for secret in secrets} == {0o440}
    for pod in pods:
        mounts = {mount["name"]: mount for one in pod["containers"] for mount in one.get("volumeMounts", [])}
        held = [volume["name"] for volume in pod["volumes"] if "secret" in volume]
        assert all(mounts[name]["readOnly"] is True for name in held)
