"""What the edge asks of callers: the filters of ``deploy/envoy/access.yaml``, with an access's values.

A chart makes filters that are there by a condition (``conditions``, by the name of the part), and lists
that are as long as its values; such lines of a template are passed on as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from earshot.local.access import CLIENT_HEADER, EVERYONE
from earshot.local.trees import Address, Tree, copy, load, only_endpoint, set_address, when, when_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from earshot.local.access import Access, Rate, Rates, Tokens

_JWKS: Final = "jwks"  # the cluster that keys of tokens come from
_LINE: Final = "{{-"  # begins a line of a template


def callers(access: Access, keys_file: str, conditions: Mapping[str, str]) -> list[Any]:
    """The filters that find out who is calling, and whether it is too often."""
    parts = load("access")
    made: list[tuple[str, list[Any]]] = []
    if access.asks:
        made.append(("asks", [parts["forget"]]))
    if access.tokens:
        made.append(("tokens", [_tokens(parts["tokens"], access.tokens, conditions)]))
    if access.keys:
        made.append(("keys", [_keys(parts["keys"], keys_file)]))
    if access.certificates:
        made.append(("certificates", [parts["certificates"]]))
    if access.asks:
        made.append(("asks", [parts["known"]]))
    if access.rates.all or access.rates.client:
        made.append(("rates", [_rates(parts["rates"], access, conditions)]))
    return [item for part, items in made for item in when(conditions.get(part, ""), items)]


def methods(access: Access, conditions: Mapping[str, str]) -> list[Any]:
    """The filter that says who may call what; none where all may call all."""
    if not access.clients:
        return []
    parts = load("access")
    policies = parts["methods"]["typed_config"]["rules"]["policies"]
    for client, allowed in access.clients.items():
        policies[client] = None if allowed is None else _policy(parts["policy"], client, allowed)
    return when(conditions.get("clients", ""), [parts["methods"]])


def clusters(access: Access, conditions: Mapping[str, str]) -> list[Any]:
    """Where keys of tokens are fetched."""
    if not (access.tokens and access.tokens.jwks_url):
        return []
    return when(conditions.get("jwks_url", ""), [_jwks_cluster(access.tokens, conditions)])


def _keys(part: Tree, keys_file: str) -> Tree:
    source = part["config_discovery"]["config_source"]["path_config_source"]
    source["path"] = keys_file
    source["watched_directory"]["path"] = keys_file.rpartition("/")[0]
    return part


def _tokens(part: Tree, tokens: Tokens, conditions: Mapping[str, str]) -> Tree:
    provider = part["typed_config"]["providers"]["tokens"]
    provider["issuer"] = tokens.issuer
    provider["audiences"] = list(tokens.audiences)
    provider["claim_to_headers"] = [{"header_name": CLIENT_HEADER, "claim_name": tokens.claim}]
    if tokens.jwks_file:
        source = {"local_jwks": {"filename": tokens.jwks_file}}
        provider |= when_fields(conditions.get("jwks_file", ""), source)
    if tokens.jwks_url:
        uri = {"uri": tokens.jwks_url, "cluster": _JWKS, "timeout": "5s"}
        # Fetched before they are needed; while the issuer is away those that are known hold on.
        fetching = {"fast_listener": True, "failed_refetch_duration": "5s"}
        remote = {"http_uri": uri, "cache_duration": "300s", "async_fetch": fetching}
        provider |= when_fields(conditions.get("jwks_url", ""), {"remote_jwks": remote})
    return part


def _jwks_cluster(tokens: Tokens, conditions: Mapping[str, str]) -> Tree:
    host, port = conditions.get("jwks_host", ""), conditions.get("jwks_port", "")
    parts = urlsplit(tokens.jwks_url)
    place = Address(host or parts.hostname or "", port or parts.port or 443)
    cluster: Tree = {
        "name": _JWKS,
        "type": "STRICT_DNS",
        "connect_timeout": "5s",
        "dns_lookup_family": "V4_PREFERRED",
        "transport_socket": _to_issuer(place.host, tokens.jwks_ca),
        "load_assignment": {"cluster_name": _JWKS, "endpoints": [{"lb_endpoints": [_endpoint()]}]},
    }
    set_address(only_endpoint(cluster), place)
    return cluster


def _to_issuer(host: str, authority: str) -> Tree:
    socket: Tree = load("tls")["public"]
    socket["typed_config"]["sni"] = host
    if authority:
        context = socket["typed_config"]["common_tls_context"]["validation_context"]
        context["trusted_ca"]["filename"] = authority
    return socket


def _endpoint() -> Tree:
    return {"endpoint": {"address": {"socket_address": {}}}}


def _policy(part: Tree, client: str, allowed: Sequence[str]) -> Tree:
    policy = copy(part)
    policy["permissions"] = [one if one.startswith(_LINE) else _permission(one) for one in allowed]
    policy["principals"] = _principals(client)
    return policy


def _permission(method: str) -> Tree:
    """By gRPC's own name, as ``earshot.v1.SpeechToText/Recognize``; ``*`` at its end: all that begin so."""
    if method.startswith("{{"):  # a chart knows only later which of the two it is
        kind = '{{ ternary "prefix" "exact" (hasSuffix "*" .) }}'
        return {"url_path": {"path": {kind: '/{{ trimSuffix "*" . }}'}}}
    kind = "prefix" if method.endswith("*") else "exact"
    return {"url_path": {"path": {kind: f"/{method.removesuffix('*')}"}}}


def _principals(client: str) -> list[Any]:
    everyone, one = {"any": True}, {"header": {"name": CLIENT_HEADER, "string_match": {"exact": client}}}
    if client.startswith("{{"):  # as above
        return ['{{- if eq $client "*" }}', everyone, "{{- else }}", one, "{{- end }}"]
    return [everyone if client == EVERYONE else one]


def _rates(part: Tree, access: Access, conditions: Mapping[str, str]) -> Tree:
    config, rates = part["typed_config"], access.rates
    if rates.all:
        config["token_bucket"] = _bucket(rates.all)
    if rates.client or rates.clients:
        config["rate_limits"] = _told_apart(access, conditions)
        config["descriptors"] = _descriptors(rates, access.asks, conditions)
    if "several" in conditions:  # Envoys, which share one bucket
        config |= {"local_cluster_rate_limit": {}}
    return part


def _told_apart(access: Access, conditions: Mapping[str, str]) -> list[Any]:
    header = {"header_name": CLIENT_HEADER, "descriptor_key": "client"}
    by_name: list[Any] = [{"actions": [{"request_headers": header}]}]
    by_address: list[Any] = [{"actions": [{"remote_address": {}}]}]
    if "asks" in conditions:
        named, nameless = when(conditions["asks"], by_name), when(f"not {conditions['asks']}", by_address)
        return [*named, *nameless]
    return by_name if access.asks else by_address


def _descriptors(rates: Rates, asks: bool, conditions: Mapping[str, str]) -> list[Any]:
    found: list[Any] = []
    for client, rate in rates.clients.items():
        found.append(client if rate is None else _descriptor({"key": "client", "value": client}, rate))
    if rates.client:
        keys = ["client", "remote_address"] if "asks" in conditions else [_kind(asks)]
        found += when(
            conditions.get("client_rate", ""), [_descriptor({"key": key}, rates.client) for key in keys]
        )
    return found


def _kind(asks: bool) -> str:
    return "client" if asks else "remote_address"


def _descriptor(entry: Tree, rate: Rate) -> Tree:
    return {"entries": [entry], "token_bucket": _bucket(rate)}


def _bucket(rate: Rate) -> Tree:
    return {"max_tokens": rate.burst, "tokens_per_fill": rate.per_second, "fill_interval": "1s"}
