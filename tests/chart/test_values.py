"""Values that are wrong are refused by their path, and those that look like YAML stay what they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.helm import documents, nested, refusal

WRONG = [
    ("stt.replicas", -1, "'/stt/replicas': minimum: got -1, want 0"),
    ("stt.replicas", "2", "'/stt/replicas': got string, want integer"),
    ("stt.replica", 2, "'/stt': additional properties 'replica' not allowed"),
    ("sst", {}, "'': additional properties 'sst' not allowed"),
    ("stt.engine", "wisper", "'/stt/engine': value must be one of"),
    ("stt.settings.workers", 0, "'/stt/settings/workers': minimum: got 0, want 1"),
    ("stt.settings.maxBatch", 500, "'/stt/settings/maxBatch': maximum: got 500, want 249"),
    ("stt.settings.device", "cuda:0,tpu", "'/stt/settings/device': 'cuda:0,tpu' does not match pattern"),
    ("stt.settings.audioSecondsPerByte", 0, "'/stt/settings/audioSecondsPerByte': exclusiveMinimum"),
    ("stt.settings.labelCache", 1, "'/stt/settings': additional properties 'labelCache' not allowed"),
    ("stt.podLabels", {"team": True}, "'/stt/podLabels/team': got boolean, want string"),
    ("stt.modelSource", {"type": "claim"}, "'/stt/modelSource/claim/name': minLength"),
    ("stt.modelSource", {"type": "imageVolume"}, "'/stt/modelSource/imageVolume/reference': minLength"),
    ("stt.modelSource", {"type": "download"}, "'/stt/model': minLength"),
    ("stt.autoscaling.metric", "memory", "'/stt/autoscaling/metric': value must be one of"),
    ("stt.autoscaling.cpu", "much", "'/stt/autoscaling/cpu': 'much' does not match pattern"),
    ("stt.podDisruptionBudget.maxUnavailable", "half", "'/stt/podDisruptionBudget/maxUnavailable'"),
    ("classification.engine", "whisper", "'/classification/engine': value must be one of"),
    ("classification.priorityClassName", True, "'/classification/priorityClassName': got boolean"),
    ("envoy.service.port", 70000, "'/envoy/service/port': maximum: got 70,000, want 65,535"),
    ("envoy.service.type", "ExternalName", "'/envoy/service/type': value must be one of"),
    ("envoy.allowedOrigins", ["example.org"], "'/envoy/allowedOrigins/0': 'example.org' does not match"),
    ("envoy.maxHeapMebibytes", 1, "'/envoy/maxHeapMebibytes': minimum"),
    ("image.digest", "sha256:abc", "'/image/digest': 'sha256:abc' does not match pattern"),
    ("quotas.limits", {"*": {"audioPerDay": 1}}, "additional properties 'audioPerDay' not allowed"),
    ("quotas.limits", {"acme": {"charactersPerDay": -1}}, "minimum: got -1, want 0"),
    ("quotas.prices", {"*": {"audioMinute": "much"}}, "got string, want number"),
    ("quotas.whenAway", "ajar", "'/quotas/whenAway': value must be one of"),
    ("networkPolicy.enabled", "yes", "'/networkPolicy/enabled': got string, want boolean"),
    ("auth.apiKeys.enable", True, "'/auth/apiKeys': additional properties 'enable' not allowed"),
    ("auth.clients", {"alice": []}, "'/auth/clients/alice': minItems"),
    ("auth.clients", {"alice": ['say "x"']}, "'/auth/clients/alice/0'"),
    ("auth.models", {"alice": "tiny"}, "'/auth/models/alice': got string, want array"),
    ("auth.models", {"a b": ["tiny"]}, "invalid propertyName 'a b'"),
    ("auth.tokens.jwksUrl", "http://login.example", "'/auth/tokens/jwksUrl'"),
    ("rates.client.perSecond", -1, "'/rates/client/perSecond': minimum"),
    ("rates.clients", {"alice": {"perSecond": 1}}, "'/rates/clients/alice': missing property 'burst'"),
    ("tls.edge.names", ["a b"], "'/tls/edge/names/0'"),
    ("monitoring.podMonitor.interval", "15", "'/monitoring/podMonitor/interval': '15' does not match"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG, ids=lambda item: str(item)[:40])
def test_a_wrong_value_is_refused_by_its_path(path: str, value: object, message: str) -> None:
    assert message in refusal(nested(path, value))


def test_what_every_chart_gets_from_its_parent_is_taken() -> None:
    assert refusal({"global": {"anything": 1}}) == ""


# Each with what makes it appear.
TEXTS: list[tuple[str, dict[str, Any]]] = [
    ("image.repository", {}),
    ("stt.model", {}),
    ("stt.priorityClassName", {}),
    ("stt.runtimeClassName", {}),
    ("stt.serviceAccount.name", {}),
    ("stt.podLabels.team", {}),
    ("stt.podAnnotations.team", {}),
    ("stt.nodeSelector.team", {}),
    ("stt.modelSource.claim.name", {"stt": {"modelSource": {"type": "claim"}}}),
    ("stt.modelSource.claim.subPath", {"stt": {"modelSource": {"type": "claim", "claim": {"name": "a"}}}}),
    ("stt.modelSource.imageVolume.reference", {"stt": {"modelSource": {"type": "imageVolume"}}}),
    ("stt.gpu.resource", {"stt": {"gpu": {"enabled": True}}}),
    ("classification.model", {}),
    ("classification.serviceAccount.annotations.team", {}),
    ("envoy.service.loadBalancerClass", {}),
    ("envoy.service.annotations.team", {}),
    ("envoy.ingress.className", {"envoy": {"ingress": {"enabled": True}}, "auth": {"anonymous": True}}),
    ("quotas.operators", {}),
    ("monitoring.podMonitor.labels.team", {"monitoring": {"podMonitor": {"enabled": True}}}),
]


@pytest.mark.parametrize("text", ["y", "1e3", "a: b"])
@pytest.mark.parametrize(("path", "beside"), TEXTS, ids=lambda item: item if isinstance(item, str) else "")
def test_text_stays_text(path: str, beside: dict[str, Any], text: str) -> None:
    found = documents(_merged(beside, nested(path, text)))
    assert any(text in item for item in _texts(found)), f"{path} is nowhere, or no text any more"


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Both trees in one, the right one's values where both have one."""
    both = {
        key: _merged(left[key], right[key])
        for key in left.keys() & right.keys()
        if isinstance(left[key], dict)
    }
    return left | right | both


def _texts(value: object) -> Iterator[str]:
    """All strings in a tree, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for item in pair for text in _texts(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in _texts(item))
