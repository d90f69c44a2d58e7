"""The chart and the services agree: settings, drain times, health names, Envoy's configuration."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from earshot.classification.settings import ClassificationSettings
from earshot.local import guards
from earshot.local.access import Access, Rate, Rates, Tokens
from earshot.local.certificates import Signer
from earshot.local.envoy import binary
from earshot.local.keys import ENVOY, Keys
from earshot.local.private import write
from earshot.local.trees import manager
from earshot.runtime.health import LIVENESS
from earshot.runtime.reflection import SPEECH_TO_TEXT, ZERO_SHOT_CLASSIFIER
from earshot.runtime.settings import ServiceSettings
from earshot.stt.settings import SpeechSettings
from tests.chart.helm import CASES, Document, documents, find, refusal

SERVICES: dict[str, tuple[type[ServiceSettings], str]] = {
    "stt": (SpeechSettings, SPEECH_TO_TEXT),
    "classification": (ClassificationSettings, ZERO_SHOT_CLASSIFIER),
}
# What the chart sets by itself, whatever the service's own default.
PLACED = {"host", "replica", "cache", "speech_target", "resume_keys_file", "tls_folder", "health_port"}


def _pod(component: str, values: Document | None = None) -> Document:
    deployment = find(documents(values), "Deployment", f"earshot-{component}")
    pod: Document = deployment["spec"]["template"]["spec"]
    return pod


def _container(component: str, values: Document | None = None) -> Document:
    container: Document = _pod(component, values)["containers"][0]
    return container


def _environment(component: str, values: Document | None = None) -> dict[str, str]:
    env = _container(component, values)["env"]
    return {item["name"]: item.get("value", "pod") for item in env}


@pytest.mark.parametrize("component", SERVICES)
def test_every_setting_is_in_the_chart_and_no_other(component: str) -> None:
    settings, _ = SERVICES[component]
    names = {f"EARSHOT_{name.upper()}" for name in settings.model_fields}
    assert _environment(component).keys() == names


@pytest.mark.parametrize("component", SERVICES)
def test_the_defaults_are_those_of_the_service(component: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = SERVICES[component]
    for name, value in _environment(component).items():
        monkeypatch.setenv(name, value)
    read = settings().model_dump(exclude=PLACED)
    defaults = {name: field.default for name, field in settings.model_fields.items() if name not in PLACED}
    assert read == defaults


@pytest.mark.parametrize(
    ("value", "text"), [(2000000, "2000000"), (0.05, "0.05"), (10, "10"), (0.00001, "1e-05")]
)
def test_a_number_reaches_the_service_as_it_was(value: float, text: str) -> None:
    environment = _environment("stt", {"stt": {"settings": {"audioSecondsPerByte": value}}})
    assert environment["EARSHOT_AUDIO_SECONDS_PER_BYTE"] == text


@pytest.mark.parametrize("component", SERVICES)
def test_probes_ask_for_names_that_the_service_answers_for(component: str) -> None:
    container, (_, service) = _container(component), SERVICES[component]
    assert container["startupProbe"]["grpc"]["service"] == service
    assert container["readinessProbe"]["grpc"]["service"] == service
    assert container["livenessProbe"]["grpc"]["service"] == LIVENESS


def test_a_pod_has_the_time_to_drain() -> None:
    values = {"stt": {"settings": {"drainSeconds": 9.5, "graceSeconds": 100}}, "envoy": {"drainSeconds": 40}}
    assert _pod("stt", values)["terminationGracePeriodSeconds"] == 10 + 100 + 10
    envoy = _pod("envoy", values)
    pause = envoy["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 40 < pause < envoy["terminationGracePeriodSeconds"]
    assert _argument(envoy["containers"][0], "--drain-time-s") == "40"


def _argument(container: Document, name: str) -> str:
    args: list[str] = container["args"]
    return args[args.index(name) + 1]


@pytest.mark.parametrize(("component", "memory"), [("stt", "3Gi"), ("classification", "2Gi")])
def test_a_gpu_has_one_worker_and_is_used(component: str, memory: str) -> None:
    values = {component: {"gpu": {"enabled": True}, "settings": {"workers": 4}}}
    environment = _environment(component, values)
    assert environment["EARSHOT_WORKERS"] == "1"
    assert environment["EARSHOT_DEVICE"] == "cuda"
    limits = _container(component, values)["resources"]["limits"]
    assert limits == {"nvidia.com/gpu": 1, "memory": memory}


@pytest.mark.parametrize(
    ("settings", "work", "target"),
    [
        ({}, 0, "45"),
        ({"workers": 4, "maxBatch": 8}, 0, "67"),
        ({"workers": 4, "maxBatch": 8, "device": "cuda:0,cuda:1"}, 0, "89"),
        ({}, 9, "9"),
    ],
)
def test_work_per_pod_is_a_share_of_what_it_admits(settings: dict[str, int], work: int, target: str) -> None:
    values = {"stt": {"settings": settings, "autoscaling": {"metric": "work", "work": work}}}
    hpa = find(documents(values), "HorizontalPodAutoscaler", "earshot-stt")
    assert hpa["spec"]["metrics"][0]["pods"]["target"]["averageValue"] == target


@pytest.mark.parametrize(("enabled", "replicas"), [(True, None), (False, 2)])
def test_only_one_of_two_sets_the_number_of_pods(enabled: bool, replicas: int | None) -> None:
    found = documents({"stt": {"autoscaling": {"enabled": enabled}}})
    assert find(found, "Deployment", "earshot-stt")["spec"].get("replicas") == replicas
    scaled = {one["metadata"]["name"] for one in found if one["kind"] == "HorizontalPodAutoscaler"}
    assert ("earshot-stt" in scaled) == enabled


def test_another_setting_restarts_only_what_has_it() -> None:
    before = _templates({})
    after = _templates({"stt": {"settings": {"queue": 3}}})
    assert {name for name in before if before[name] != after[name]} == {"earshot-stt"}
    after = _templates({"envoy": {"maxConnections": 9}})
    assert {name for name in before if before[name] != after[name]} == {"earshot-envoy"}


@pytest.mark.parametrize("component", SERVICES)
def test_no_pod_is_ready_before_envoy_knows_of_it(component: str) -> None:
    probe = _container(component, {"dnsSeconds": 30})["readinessProbe"]
    assert probe["initialDelaySeconds"] == 30 + 2


def test_which_models_a_client_may_use_restarts_nothing() -> None:
    keys: Document = {"apiKeys": {"enabled": True}}
    before = _templates({"auth": keys})
    assert before == _templates({"auth": keys | {"models": {"bob": ["tiny"]}}})


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ({}, None),
        ({"apiKeys": {"enabled": True}}, {"*": ["*"]}),
        ({"apiKeys": {"enabled": True}, "models": {"bob": ["tiny*"]}}, {"bob": ["tiny*"]}),
    ],
    ids=str,
)
@pytest.mark.parametrize("component", SERVICES)
def test_the_services_find_the_models_of_each_client(
    component: str, auth: Document, said: Document | None
) -> None:
    values = {"auth": auth}
    file = _environment(component, values)["EARSHOT_MODELS_FILE"]
    mounts = {mount["name"]: mount["mountPath"] for mount in _container(component, values)["volumeMounts"]}
    if said is None:
        assert (file, mounts.get("allowed")) == ("", None)
        return
    (volume,) = [one for one in _pod(component, values)["volumes"] if one["name"] == "allowed"]
    config = find(documents(values), "ConfigMap", volume["configMap"]["name"])
    assert json.loads(config["data"][file.removeprefix(f"{mounts['allowed']}/")]) == said


def _templates(values: Document) -> dict[str, Any]:
    found = [one for one in documents(values) if one["kind"] == "Deployment"]
    return {one["metadata"]["name"]: one["spec"]["template"] for one in found}


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_envoy_takes_its_configuration(case: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(case.read_text(encoding="utf-8"))
    run = _validate(_mounted(documents(values), tmp_path))
    assert run.returncode == 0, run.stderr


def _mounted(found: list[Document], folder: Path) -> Path:
    """Envoy's configuration, with all that its pod mounts beside it."""
    config = next(
        one for one in found if one["kind"] == "ConfigMap" and one["metadata"]["name"].endswith("-envoy")
    )
    files = {name: text.encode() for name, text in config["data"].items()}
    files |= {name: base64.b64decode(data) for name, data in config["binaryData"].items()}
    places = (b"/etc/envoy/", b"/etc/earshot/")
    made = {name: _moved(content, places, folder) for name, content in files.items()}
    write(folder / "envoy", files | {name: made[name] for name in config["data"]})
    signer = Signer.new("test")
    for side in ("edge", "callers", "internal", "jwks"):
        write(folder / "earshot" / "tls" / side, signer.issue("test"))
    write(folder / "earshot" / "keys", {ENVOY: Keys().to_files()[ENVOY].encode()})
    assert b"{{" not in made["envoy.yaml"]
    return folder / "envoy" / "envoy.yaml"


def _moved(content: bytes, places: tuple[bytes, ...], folder: Path) -> bytes:
    for place in places:
        content = content.replace(place, f"{folder}/".encode() + place.removeprefix(b"/etc/"))
    return content


def _validate(config: Path) -> subprocess.CompletedProcess[str]:
    command = [binary(), "--mode", "validate", "--config-path", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_filters_are_those_that_are_asked_for() -> None:
    """And in the same order as on one machine."""
    values = yaml.safe_load((CASES[0].parent / "exposed.yaml").read_text(encoding="utf-8"))
    access = Access(True, Tokens("i", ("a",), "f"), "ca", {"a": ("*",)}, Rates(client=Rate(1, 1)))
    expected = [item["name"] for item in guards.callers(access, "/k", {})]
    methods = "envoy.filters.http.rbac"
    assert [name for name in _filters(values) if name in expected] == [*expected, methods]
    assert not set(_filters({})) & set(expected)


def _filters(values: Document) -> list[str]:
    found = documents(values)
    name = str(values.get("fullnameOverride", "earshot"))
    config = yaml.safe_load(find(found, "ConfigMap", f"{name}-envoy")["data"]["envoy.yaml"])
    return [each["name"] for each in manager(config["static_resources"]["listeners"][0])["http_filters"]]


def test_what_a_client_may_call_is_as_on_one_machine() -> None:
    clients = {"alice": ["*"], "*": ["grpc.reflection.*"], "bob": ["earshot.v1.SpeechToText/Recognize"]}
    values = {"auth": {"apiKeys": {"enabled": True}, "clients": clients}}
    config = yaml.safe_load(find(documents(values), "ConfigMap", "earshot-envoy")["data"]["envoy.yaml"])
    filters = manager(config["static_resources"]["listeners"][0])["http_filters"]
    access = Access(True, clients={name: tuple(methods) for name, methods in clients.items()})
    (expected,) = guards.methods(access, {})
    (found,) = [each for each in filters if "policies" in str(each) and "methods_" in str(each)]
    assert found == expected


OPEN: list[Document] = [
    {"envoy": {"service": {"type": "LoadBalancer"}}},
    {"envoy": {"service": {"type": "NodePort"}}},
    {"envoy": {"ingress": {"enabled": True}}},
    {"envoy": {"gateway": {"enabled": True}}},
]


@pytest.mark.parametrize("values", OPEN, ids=str)
def test_nothing_is_shown_to_the_world_without_a_question(values: Document) -> None:
    assert "this would let everyone outside call" in refusal(values)
    assert refusal(values | {"auth": {"apiKeys": {"enabled": True}}}) == ""
    assert refusal(values | {"auth": {"anonymous": True}}) == ""


SENSELESS: list[tuple[Document, str]] = [
    ({"auth": {"certificates": {"enabled": True, "secret": "a"}}}, "set tls.edge.enabled"),
    ({"auth": {"clients": {"a": ["*"]}}}, "nobody is asked for a name"),
    ({"auth": {"models": {"a": ["*"]}}}, "nobody is asked for a name"),
    ({"auth": {"apiKeys": {"enabled": True}}, "tls": {"internal": {"enabled": False}}}, "past Envoy"),
    ({"auth": {"tokens": {"enabled": True, "issuer": "i", "audiences": ["a"]}}}, "/auth/tokens"),
]


@pytest.mark.parametrize(("values", "message"), SENSELESS, ids=str)
def test_what_would_not_hold_is_refused(values: Document, message: str) -> None:
    assert message in refusal(values)


@pytest.mark.parametrize("inside", [True, False])
def test_probes_find_health_where_it_is(inside: bool) -> None:
    values = {"tls": {"internal": {"enabled": inside}}}
    for component in SERVICES:
        port = 50052 if inside else 50051
        container = _container(component, values)
        assert {
            container[f"{kind}Probe"]["grpc"]["port"] for kind in ("startup", "readiness", "liveness")
        } == {port}
        environment = _environment(component, values)
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert environment["EARSHOT_HEALTH_PORT"] == ("50052" if inside else "0")
        assert (environment["EARSHOT_TLS_FOLDER"] in mounts) == inside


def test_envoy_looks_up_the_services_of_its_release() -> None:
    found = documents({"fullnameOverride": "speech", "clusterDomain": "cluster.example"})
    text = find(found, "ConfigMap", "speech-envoy")["data"]["envoy.yaml"]
    for component in SERVICES:
        service = find(found, "Service", f"speech-{component}")
        assert service["spec"]["clusterIP"] == "None"
        assert f'"{service["metadata"]["name"]}.earshot.svc.cluster.example."' in text


@pytest.mark.parametrize("component", SERVICES)
def test_envoy_s_spans_go_where_those_of_the_services_go(component: str) -> None:
    settings = {"otlpEndpoint": "http://collector.observability:5317", "traceShare": 0.25}
    found = documents({component: {"settings": settings}})
    text = find(found, "ConfigMap", "earshot-envoy")["data"]["envoy.yaml"]
    clusters = yaml.safe_load(text)["static_resources"]["clusters"]
    (traces,) = [one for one in clusters if one["name"] == "traces"]
    address = traces["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    assert address["socket_address"] == {"address": "collector.observability", "port_value": "5317"}
    assert "transport_socket" not in traces
    assert '"numerator": "250000"' in text
    for name in (component, "envoy"):
        egress = find(found, "NetworkPolicy", f"earshot-{name}")["spec"]["egress"]
        assert {"ports": [{"port": 5317, "protocol": "TCP"}]} in egress


@pytest.mark.parametrize("component", SERVICES)
def test_all_pods_have_the_same_resume_keys(component: str) -> None:
    secret = find(documents(), "Secret", "earshot-resume-keys")
    assert len(base64.b64decode(secret["data"]["keys"])) >= 64
    (volume,) = [one for one in _pod(component)["volumes"] if one["name"] == "resume-keys"]
    assert volume["secret"]["secretName"] == "earshot-resume-keys"
    (mount,) = [one for one in _container(component)["volumeMounts"] if one["name"] == "resume-keys"]
    assert _environment(component)["EARSHOT_RESUME_KEYS_FILE"] == f"{mount['mountPath']}/keys"


def test_a_secret_of_ones_own_is_taken() -> None:
    values: Document = {"resumeKeys": {"secret": "mine"}}
    names = {one["metadata"]["name"] for one in documents(values) if one["kind"] == "Secret"}
    assert "earshot-resume-keys" not in names
    (volume,) = [one for one in _pod("stt", values)["volumes"] if one["name"] == "resume-keys"]
    assert volume["secret"]["secretName"] == "mine"
