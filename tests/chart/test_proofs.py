"""Keys, certificates and authorities: where the chart has them from, and who reads them."""

from __future__ import annotations

import base64

import pytest
import yaml
from cryptography import x509

from earshot.local.tls import ENVOY_NAME, SERVICES_NAME
from tests.chart.helm import CASES, Document, documents, find

JWKS_CA = "/etc/earshot/tls/jwks/ca.crt"
COMPONENTS = ("envoy", "stt", "classification")


CALLED: list[tuple[Document, list[str]]] = [
    ({}, []),
    (
        {"auth": {"apiKeys": {"enabled": True}}, "helmTest": {"apiKeySecret": "mine"}},
        ["--key-in-plain-text"],
    ),
    ({"tls": {"edge": {"enabled": True}}}, ["--tls", "--ca", "/etc/earshot/ca.crt"]),
    ({"tls": {"edge": {"enabled": True, "secret": "public"}}}, ["--tls"]),
    (
        {"tls": {"edge": {"enabled": True, "secret": "ours"}}, "helmTest": {"caSecret": "ours"}},
        ["--tls", "--ca", "/etc/earshot/ca.crt"],
    ),
]


@pytest.mark.parametrize(("values", "options"), CALLED, ids=str)
def test_helm_test_calls_as_a_caller_must(values: Document, options: list[str]) -> None:
    """With the host name that is in the certificate, where there is one."""
    spec = find(documents(values), "Pod", "earshot-test")["spec"]
    dot = "" if "--tls" in options else "."
    target = ["--target", f"earshot.earshot.svc.cluster.local{dot}:80"]
    for container in spec["containers"]:
        assert container["args"][-len(options) - 2 :] == [*target, *options]
        keys = [item["valueFrom"]["secretKeyRef"] for item in container.get("env", [])]
        assert keys == [{"name": "mine", "key": "api-key"}] * ("--key-in-plain-text" in options)
    mounted = [volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume]
    expected = values.get("helmTest", {}).get("caSecret", "earshot-tls-edge")
    assert mounted == [expected] * ("--ca" in options)


@pytest.mark.parametrize(
    "auth", [{"apiKeys": {"enabled": True}}, {"certificates": {"enabled": True, "secret": "callers"}}]
)
def test_helm_test_calls_nothing_without_a_proof(auth: Document) -> None:
    found = documents({"auth": auth, "tls": {"edge": {"enabled": True}}, "helmTest": {"apiKeySecret": ""}})
    assert not [one for one in found if one["kind"] == "Pod"]


def test_the_chart_s_own_certificate_is_what_callers_look_for() -> None:
    """Signed by the authority beside it, and made out to the Service's names."""
    data = find(documents({"tls": {"edge": {"enabled": True}}}), "Secret", "earshot-tls-edge")["data"]
    shown, authority = (
        x509.load_pem_x509_certificate(base64.b64decode(data[name])) for name in ("tls.crt", "ca.crt")
    )
    shown.verify_directly_issued_by(authority)
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = names.get_values_for_type(x509.DNSName)
    assert {"earshot", "earshot.earshot.svc", "earshot.earshot.svc.cluster.local", "localhost"} <= set(found)


def test_cert_manager_writes_what_the_pods_read() -> None:
    values = yaml.safe_load((CASES[0].parent / "models.yaml").read_text(encoding="utf-8"))
    found = documents(values)
    made = {one["spec"]["secretName"]: one["spec"] for one in found if one["kind"] == "Certificate"}
    pods = [find(found, "Deployment", f"earshot-{one}")["spec"]["template"]["spec"] for one in COMPONENTS]
    read = {
        volume["secret"]["secretName"]
        for pod in pods
        for volume in pod["volumes"]
        if "secret" in volume and volume["name"].startswith("tls")
    }
    assert made.keys() == read
    assert made["earshot-tls-envoy"]["dnsNames"] == [ENVOY_NAME]
    assert made["earshot-tls-services"]["dnsNames"] == [SERVICES_NAME]
    assert not [one for one in found if one["kind"] == "Secret" and one["metadata"]["name"] in read]


@pytest.mark.parametrize(("secret", "file"), [("", "/etc/ssl/certs/ca-certificates.crt"), ("login", JWKS_CA)])
def test_who_signs_for_the_issuer_of_tokens(secret: str, file: str) -> None:
    tokens = {"enabled": True, "issuer": "i", "audiences": ["a"], "jwksUrl": "https://login.example/keys"}
    values = {"auth": {"tokens": tokens | {"jwksCaSecret": secret}}}
    found = documents(values)
    config = yaml.safe_load(find(found, "ConfigMap", "earshot-envoy")["data"]["envoy.yaml"])
    (cluster,) = [one for one in config["static_resources"]["clusters"] if one["name"] == "jwks"]
    context = cluster["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]
    assert context["trusted_ca"]["filename"] == file
    pod = find(found, "Deployment", "earshot-envoy")["spec"]["template"]["spec"]
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    assert (file.rpartition("/")[0] in mounts) == bool(secret)
