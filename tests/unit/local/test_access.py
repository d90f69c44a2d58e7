"""The file that says who may call what, and what Envoy itself says of it."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from google.rpc import error_details_pb2, status_pb2

from earshot import errors
from earshot.local import access, endpoints
from earshot.local.access import Access, Rate, Rates, Tokens
from earshot.local.certificates import Signer
from earshot.local.dataplane import SERVICES, FileDiscovery, render
from earshot.local.envoy import binary
from earshot.local.keys import ENVOY
from earshot.local.private import write
from earshot.local.security import Protection, prepare
from earshot.local.state import StateFolder
from earshot.local.trees import load, to_yaml
from tests.unit.local.test_dataplane import parameters

WHOLE = """
keys: true
tokens: {issuer: https://login.example, audiences: [speech], jwks_url: "https://127.0.0.1:1/keys"}
clients:
  alice: ["earshot.v1.SpeechToText/*"]
  "*": [earshot.v1.ZeroShotClassifier/Classify]
models: {alice: ["tiny*", en-us]}
rates: {all: {per_second: 100, burst: 200}, client: {per_second: 5, burst: 20}}
"""


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "access.yaml"
    file.write_text(WHOLE)
    tokens = Tokens("https://login.example", ("speech",), jwks_url="https://127.0.0.1:1/keys")
    clients = {"alice": ("earshot.v1.SpeechToText/*",), "*": ("earshot.v1.ZeroShotClassifier/Classify",)}
    expected = Access(True, tokens, "", clients, Rates(Rate(100, 200), Rate(5, 20)))
    expected = replace(expected, models={"alice": ("tiny*", "en-us")})
    assert access.read(file) == expected


WRONG = {
    "keyz: true": "keyz",
    "keys: maybe": "keys",
    "rates: {all: {per_second: 0, burst: 1}}": "rates.all.per_second",
    "rates: {client: {per_second: 1}}": "rates.client.burst",
    "tokens: {issuer: i, audiences: [a]}": "one of jwks_file and jwks_url",
    "tokens: {issuer: i, audiences: [a], jwks_url: 'http://x/keys'}": "https://",
    "tokens: {issuer: i, audiences: [a], jwks_file: x, jwks_ca: y}": "jwks_ca",
    "tokens: {issuer: i, audiences: [], jwks_file: x}": "tokens.audiences",
    "clients: {alice: ['*']}": "nobody is asked for a name",
    "models: {alice: ['*']}": "nobody is asked for a name",
    "models: {alice: tiny}": "models.alice",
    "[": "access.yaml",
    "keys: !!bool maybe": "no YAML",
    "keys: !!int ''": "no YAML",
}


@pytest.mark.parametrize(("text", "place"), WRONG.items())
def test_what_is_wrong_is_named_by_its_place(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "access.yaml"
    file.write_text(text)
    with pytest.raises(errors.InvalidArgumentError, match=r"access\.yaml") as failure:
        access.read(file)
    assert place in failure.value.message


def test_what_is_nested_without_end_is_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "access.yaml"
    file.write_text("[" * 3_000)
    with pytest.raises(errors.InvalidArgumentError, match="no YAML"):
        access.read(file)


def test_envoy_accepts_all_of_it_at_once(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    write(tmp_path / "callers", Signer.new("callers").pem())
    (tmp_path / "access.yaml").write_text(WHOLE + f"certificates: {tmp_path}/callers/ca.crt\n")
    endpoints_folder = tmp_path / "endpoints"
    endpoints_folder.mkdir()
    for cluster in SERVICES:
        endpoints.publish(endpoints_folder, cluster, [])
    security = prepare(state, Protection(access.read(tmp_path / "access.yaml"), tls=True))
    config = render(parameters(discovery=FileDiscovery(str(endpoints_folder)), security=security))
    (tmp_path / "envoy.yaml").write_text(to_yaml(config))
    command = [binary(), "--mode", "validate", "--log-level", "warning"]
    command += ["--config-path", str(tmp_path / "envoy.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "[warning]" in line]
    assert [line for line in lines if "[jwt]" not in line] == []  # nobody gives its keys there
    assert (state.keys / ENVOY).exists()


def test_nothing_is_asked_where_nothing_is_wanted(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    config = render(parameters(security=prepare(state, Protection())))
    assert [one["name"] for one in config["static_resources"]["listeners"]] == ["edge", "metrics"]
    assert "rbac" not in yaml.safe_dump(config)
    assert not state.root.exists()


def test_the_refusal_says_in_its_details_what_it_says_in_words() -> None:
    """The two must be equal, or callers do not believe the details."""
    (mapper,) = [each for each in load("replies")["mappers"] if "come back in a second" in str(each)][1:]
    (header,) = mapper["headers_to_add"]
    status = status_pb2.Status.FromString(base64.b64decode(header["header"]["value"]))
    assert status.message == mapper["body_format_override"]["text_format_source"]["inline_string"]
    assert status.code == 8
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain, retry.retry_delay.seconds) == ("RATE_LIMITED", "earshot.v1", 1)
