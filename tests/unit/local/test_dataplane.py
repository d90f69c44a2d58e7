"""Envoy's configuration, as it is rendered for a machine and for a cluster."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import descriptor_pb2

from earshot.local import endpoints
from earshot.local.dataplane import (
    SERVICES,
    DnsDiscovery,
    FileDiscovery,
    Parameters,
    render,
)
from earshot.local.envoy import binary
from earshot.local.trees import Address, description, to_yaml

DNS = DnsDiscovery(
    Address("stt.apps.svc.cluster.local.", 50051),
    Address("zsc.apps.svc.cluster.local.", 50052),
    Address("envoys.apps.svc.cluster.local.", 8080),
)


def parameters(folder: str = "/endpoints", **changes: Any) -> Parameters:
    given = Parameters(
        discovery=FileDiscovery(folder),
        edge=Address("127.0.0.1", 8080),
        metrics=Address("127.0.0.1", 9902),
        admin=Address("127.0.0.1", 9901),
        descriptors=str(description() / "earshot.binpb"),
    )
    return replace(given, **changes)


def clusters(tree: dict[str, Any]) -> dict[str, Any]:
    return {cluster["name"]: cluster for cluster in tree["static_resources"]["clusters"]}


def routes(tree: dict[str, Any]) -> dict[str, Any]:
    manager = tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return {route["name"]: route for route in manager["route_config"]["virtual_hosts"][0]["routes"]}


@pytest.mark.parametrize("discovery", ["file", "dns"])
def test_envoy_itself_accepts_it_without_a_warning(discovery: str, tmp_path: Path) -> None:
    for cluster in SERVICES:
        endpoints.publish(tmp_path, cluster, [50051, 50052])
    found = FileDiscovery(str(tmp_path)) if discovery == "file" else DNS
    config = tmp_path / "envoy.yaml"
    config.write_text(to_yaml(render(parameters(discovery=found, allowed_origins=("https://example.org",)))))
    command = [binary(), "--mode", "validate", "--log-level", "warning", "--config-path", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"configuration '{config}' OK\n")
    assert "warning" not in done.stderr


def test_every_method_has_a_route_and_no_other() -> None:
    described = descriptor_pb2.FileDescriptorSet.FromString((description() / "earshot.binpb").read_bytes())
    methods = {
        f"/{file.package}.{service.name}/{method.name}"
        for file in described.file
        for service in file.service
        for method in service.method
    }
    paths = {route["match"].get("path") for route in routes(render(parameters())).values()}
    reflection = {f"/grpc.reflection.{v}.ServerReflection/ServerReflectionInfo" for v in ("v1", "v1alpha")}
    assert paths == methods | reflection | {None}


def test_idle_replicas_are_picked_by_their_calls_and_not_by_weight() -> None:
    """With a slow start Envoy goes on by weight after its window, and a burst may all go to one."""
    for cluster in render(parameters())["static_resources"]["clusters"]:
        assert "slow_start_config" not in str(cluster)


def test_streams_are_not_tried_again_once_answered() -> None:
    for name, route in routes(render(parameters())).items():
        policy = route.get("route", {}).get("retry_policy")
        if policy is None:
            continue
        conditions = set(policy["retry_on"].split(","))
        assert "resource-exhausted" in conditions
        assert ("reset" in conditions) is not name.split(".")[1].startswith("Streaming")


def test_a_message_fits_the_buffer_for_another_try() -> None:
    sizes = {
        name: route.get("request_body_buffer_limit") for name, route in routes(render(parameters())).items()
    }
    assert sizes["SpeechToText.Recognize"] == 64 * 1024 * 1024
    assert sizes["SpeechToText.StreamingRecognize"] == 64 * 1024


def test_only_discovery_differs_between_a_machine_and_a_cluster() -> None:
    machine, cluster = clusters(render(parameters())), clusters(render(parameters(discovery=DNS)))
    kinds = {"type", "eds_cluster_config", "cluster_type", "load_assignment"}
    for name in SERVICES:
        rest = [
            {key: value for key, value in one[name].items() if key not in kinds} for one in (machine, cluster)
        ]
        assert rest[0] == rest[1]
        assert machine[name]["type"] == "EDS"
        assert cluster[name]["cluster_type"]["name"] == "envoy.clusters.dns"


def test_each_service_is_found_by_its_own_name() -> None:
    found = clusters(render(parameters(discovery=DNS)))
    addresses = {
        name: found[name]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
        for name in SERVICES
    }
    assert addresses["speech_to_text"]["socket_address"]["address"] == "stt.apps.svc.cluster.local."
    assert addresses["zero_shot_classifier"]["socket_address"]["port_value"] == 50052


def test_placeholders_stand_in_quoted_scalars_only() -> None:
    mark = "{{ .Values.anything }}"
    text = to_yaml(render(parameters(edge=Address(mark, mark), max_heap_bytes=mark, allowed_origins=("y",))))
    lines = [line for line in text.splitlines() if mark in line]
    assert len(lines) == 3
    assert all(line.endswith(f'"{mark}"') for line in lines)
    assert '"exact": "y"' in text


def test_what_comes_out_is_what_goes_in() -> None:
    tree = render(parameters())
    assert yaml.safe_load(to_yaml(tree)) == tree


def test_a_change_in_one_place_changes_no_other() -> None:
    """Places that share an anchor in the description are apart once it is read."""
    found = clusters(render(parameters()))
    found["speech_to_text"]["outlier_detection"]["interval"] = "9s"
    assert found["zero_shot_classifier"]["outlier_detection"]["interval"] == "1s"
