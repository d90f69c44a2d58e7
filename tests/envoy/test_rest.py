"""The unary calls as JSON, and Envoy's own complaints as google.rpc.Status."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from tests.envoy.harness import Plane

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content_type": "application/json"}


async def test_recognize(standing: Plane) -> None:
    body = json.dumps({"content": base64.b64encode(b"hello").decode()})
    status, headers, answer = await standing.http("POST", "/v1/speech:recognize", body, **JSON)
    assert (status, headers["content-type"]) == (200, "application/json")
    result = json.loads(answer)
    assert result["results"][0]["alternatives"][0]["transcript"] == "5 bytes"
    assert result["metadata"]["latency"]["total"] == "0.005s"


async def test_classify_and_classify_speech(standing: Plane) -> None:
    config = {"candidateLabels": ["a", "b"]}
    body = json.dumps({"inputs": [{"text": "x"}], "config": config})
    _, _, scored = await standing.http("POST", "/v1/text:classify", body, **JSON)
    body = json.dumps({"content": "aGVsbG8=", "classificationConfig": config})
    _, _, heard = await standing.http("POST", "/v1/speech:classify", body, **JSON)
    assert [label["label"] for label in json.loads(scored)["results"][0]["labels"]] == ["a", "b"]
    assert json.loads(heard)["transcript"] == "5 bytes"


async def test_both_lists_of_models(standing: Plane) -> None:
    for path in ("/v1/models", "/v1/speech/models"):
        status, _, answer = await standing.http("GET", path)
        assert (status, json.loads(answer)["models"][0]["name"]) == (200, "fake-model")


async def test_an_error_says_which_field(standing: Plane) -> None:
    body = json.dumps({"config": {"model": "code:INVALID_ARGUMENT"}})
    status, headers, answer = await standing.http("POST", "/v1/speech:recognize", body, **JSON)
    assert (status, headers["content-type"]) == (400, "application/json")
    problem = json.loads(answer)
    details = {detail["@type"].rpartition(".")[2]: detail for detail in problem["details"]}
    assert (problem["code"], problem["message"]) == (3, "not so")
    assert details["BadRequest"]["fieldViolations"][0]["field"] == "config.model"
    assert details["ErrorInfo"]["reason"] == "NOT_SO"


WRONGS = [
    ("POST /v1/speech:recognize", '{"content": ', (400, 3, "Unexpected end")),
    ("POST /v1/speech:recognize", '{"config": 5}', (400, 3, "config")),
    ("GET /v1/models?page=2", None, (400, 3, "page")),
    ("GET /v1/speech:recognize", None, (404, 5, "no such method or path")),
    ("POST /v1/nothing", "{}", (404, 5, "no such method or path")),
    ("GET /", None, (404, 5, "no such method or path")),
    ("POST /v1/speech:recognize", '{"config": {"model": "code:UNAVAILABLE"}}', (503, 14, "as ordered")),
    ("POST /v1/text:classify", '{"config": {"model": "code:RESOURCE_EXHAUSTED"}}', (429, 8, "as ordered")),
]


@pytest.mark.parametrize(("call", "body", "expected"), WRONGS)
async def test_what_is_wrong_is_a_status_in_json(
    standing: Plane, call: str, body: str | None, expected: tuple[int, int, str]
) -> None:
    method, path = call.split()
    status, headers, answer = await standing.http(method, path, body, **JSON)
    problem = json.loads(answer)
    assert (status, problem["code"]) == expected[:2]
    assert expected[2] in problem["message"]
    assert headers["content-type"] == "application/json"


async def test_a_deadline_holds_for_json(standing: Plane) -> None:
    body = json.dumps({"config": {"model": "sleep:10"}})
    status, _, answer = await standing.http("POST", "/v1/speech:recognize", body, grpc_timeout="200m", **JSON)
    assert (status, json.loads(answer)["code"]) == (504, 4)


async def test_json_is_compressed_where_it_is_worth_it(standing: Plane) -> None:
    long = await _labels(standing, 500, accept_encoding="gzip")
    short = await _labels(standing, 1, accept_encoding="gzip")
    plain = await _labels(standing, 500)
    assert long[0].get("content-encoding") == "gzip"
    assert json.loads(gzip.decompress(long[1])) == json.loads(plain[1])
    assert "content-encoding" not in plain[0].keys() | short[0].keys()


async def test_liveness_has_no_body_and_needs_no_replica(standing: Plane) -> None:
    status, _, answer = await standing.http("GET", "/healthz")
    assert (status, answer) == (200, b"")
    status, _, _ = await standing.http("POST", "/healthz")
    assert status == 404


async def _labels(plane: Plane, count: int, **headers: Any) -> tuple[dict[str, str], bytes]:
    labels = [f"label {number}" for number in range(count)]
    body = json.dumps({"inputs": [{"text": "x"}], "config": {"candidateLabels": labels}})
    _, answered, answer = await plane.http("POST", "/v1/text:classify", body, **JSON, **headers)
    return answered, answer
