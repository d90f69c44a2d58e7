"""Makes what is generated in the chart and beside it; after a change, run ``python charts/generate.py``.

    deploy/prometheus/       rules and alerts, from charts/monitoring
    charts/earshot/dashboards/ dashboards, from there as well
    charts/earshot/files/    Envoy's configuration with the chart's placeholders, from deploy/envoy; the rules
    charts/earshot/README.md the table of values, by helm-docs
    tests/chart/rendered/    what the chart renders for each of tests/chart/cases
    deploy/k8s/base/         what it renders with its defaults, for kubectl apply -k

``--check`` changes nothing and says what is not as it should be. Needs helm and helm-docs on the PATH.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from earshot.local import keys, tls
from earshot.local.access import Access, Rate, Rates, Tokens
from earshot.local.dataplane import DnsDiscovery, Parameters, Security, render
from earshot.local.traces import Collector
from earshot.local.trees import Address, description, to_yaml
from monitoring.dashboards import dashboards
from monitoring.rules import groups

REPOSITORY: Final = Path(__file__).resolve().parents[1]
CHART: Final = REPOSITORY / "charts" / "earshot"
CASES: Final = REPOSITORY / "tests" / "chart" / "cases"
RENDERED: Final = REPOSITORY / "tests" / "chart" / "rendered"
BASE: Final = REPOSITORY / "deploy" / "k8s" / "base"
PROMETHEUS: Final = REPOSITORY / "deploy" / "prometheus"
HELM_LABELS: Final = {"helm.sh/chart", "app.kubernetes.io/managed-by"}
# Nothing secret is in a repository.
BASE_VALUES: Final = "resumeKeys.secret=earshot-resume-keys,tls.internal.enabled=false"
_GRPC_PORT: Final = 50051
# Each is a field of what earshot.envoy.config passes, or made of one.
CONDITIONS: Final = {
    "asks": ".asks",
    "tokens": ".tokens",
    "keys": ".keys",
    "certificates": ".certificates",
    "clients": ".clients",
    "rates": ".rates",
    "client_rate": ".clientRate",
    "tls": ".tls",
    "inner": ".inner",
    "several": ".rates",
    "jwks_file": "not .tokens.jwksUrl",
    "jwks_url": "and .tokens .tokens.jwksUrl",
    "jwks_host": "{{ .jwksHost }}",
    "jwks_port": "{{ .jwksPort }}",
}
_KEY: Final = b"made anew for each release"
_ORIGIN: Final = "{{ origin }}"
_COLLECTOR: Final = Address("{{ .traces.host }}", "{{ .traces.port }}")
_TRACED: Final = {"traces": ".traces", "tls": ".traces.tls"}  # when which part is there

Files = dict[Path, bytes]


def envoy_files() -> Files:
    """What the chart's ConfigMap holds; the placeholders are filled in by ``earshot.envoy.config``."""
    parameters = Parameters(
        discovery=DnsDiscovery(
            speech_to_text=Address("{{ .stt }}", _GRPC_PORT),
            zero_shot_classifier=Address("{{ .classification }}", _GRPC_PORT),
            envoys=Address("{{ .envoys }}", 8080),
        ),
        edge=Address("0.0.0.0", 8080),  # noqa: S104 - in a pod, for the Service
        metrics=Address("0.0.0.0", 9902),  # noqa: S104 - in a pod, for probes and scrapers
        admin=Address("127.0.0.1", 9901),
        descriptors="/etc/envoy/earshot.binpb",
        max_heap_bytes="{{ .maxHeapBytes }}",
        max_connections="{{ .maxConnections }}",
        security=security(),
        allowed_origins=(_ORIGIN,),
        collector=Collector(_COLLECTOR, "{{ .traces.perMillion }}", tls=True, conditions=_TRACED),
    )
    text = with_lines(for_each_origin(to_yaml(render(parameters))))
    return secret_files() | {
        CHART / "files" / "envoy.yaml": text.encode(),
        CHART / "files" / "earshot.binpb": (description() / "earshot.binpb").read_bytes(),
    }


def security() -> Security:
    """All that can be asked of callers, each part by its condition; the lists are as long as the values."""
    methods = ("{{- range $methods }}", "{{ . }}", "{{- end }}")
    clients = _each("range $client, $methods := .clients", {"{{ $client }}": methods})
    rate = Rate("{{ int64 $rate.perSecond }}", "{{ int64 $rate.burst }}")
    rates = Rates(
        all=Rate("{{ int64 .rateOfAll.perSecond }}", "{{ int64 .rateOfAll.burst }}"),
        client=Rate("{{ int64 .clientRate.perSecond }}", "{{ int64 .clientRate.burst }}"),
        clients=_each("range $client, $rate := .clientRates", {"{{ $client }}": rate}),
    )
    tokens = Tokens(
        issuer="{{ .tokens.issuer }}",
        audiences=("{{- range .tokens.audiences }}", "{{ . }}", "{{- end }}"),
        jwks_file="/etc/envoy/jwks.json",
        jwks_url="{{ .tokens.jwksUrl }}",
        jwks_ca="{{ .jwksCa }}",
        claim="{{ .tokens.claim }}",
    )
    return Security(
        access=Access(True, tokens, "/etc/earshot/tls/callers/ca.crt", clients, rates),
        keys_file="/etc/earshot/keys/api-keys.json",
        secrets="/etc/envoy",
        tls=True,
        inner=Address("0.0.0.0", 8081),  # noqa: S104 - in a pod, for the Service
        conditions=CONDITIONS,
    )


def _each(head: str, items: dict[str, Any]) -> dict[str, Any]:
    return {f"{{{{- {head} }}}}": None, **items, f"{{{{- end }}}}{{{{- /* {head} */}}}}": None}


def secret_files() -> Files:
    """What tells Envoy where its certificates are."""
    internal = "/etc/earshot/tls/internal"
    told = {
        tls.EDGE: tls.certificate(tls.EDGE, "/etc/earshot/tls/edge"),
        tls.CALLERS: tls.authority(tls.CALLERS, "/etc/earshot/tls/callers/ca.crt"),
        tls.INNER: tls.certificate(tls.INNER, internal),
        tls.SERVICES: tls.authority(tls.SERVICES, f"{internal}/ca.crt", tls.SERVICES_NAME),
    }
    files = {CHART / "files" / "no-keys.json": keys.Keys().to_files()[keys.ENVOY].encode()}
    return files | {
        CHART / "files" / "secrets" / f"{name}.json": json.dumps(content).encode()
        for name, content in told.items()
    }


def with_lines(text: str) -> str:
    """Lines of a template stand as such, not as items or fields; in a placeholder quotes are its own."""
    lines = re.sub(r'(?m)^ *(?:- )?"(\{\{-.*\}\})"(?:: null)?$', r"\1", text)
    return re.sub(r"\{\{.*?\}\}", lambda found: found.group().replace('\\"', '"'), lines)


def for_each_origin(text: str) -> str:
    """The line of the one origin once for each that the chart is given, quoted as it needs."""
    (line,) = [line for line in text.splitlines() if _ORIGIN in line]
    item = line.replace(f'"{_ORIGIN}"', "{{ . | quote }}")
    return text.replace(line, f"{{{{- range .allowedOrigins }}}}\n{item}\n{{{{- end }}}}")


def rules() -> Files:
    """Rules and alerts, plain and as the chart holds them."""
    head = "# Made by charts/generate.py from charts/monitoring; docs/runbooks.md says what to do.\n"
    text = head + yaml.safe_dump(groups(), sort_keys=False, width=110)
    return {PROMETHEUS / "rules.yaml": text.encode(), CHART / "files" / "rules.yaml": text.encode()}


def boards() -> Files:
    """Each dashboard, as Grafana loads it."""
    return {CHART / "dashboards" / name: text.encode() for name, text in dashboards().items()}


def readme() -> Files:
    """The chart's README, with every value."""
    command = ["helm-docs", "--chart-search-root", str(CHART), "--sort-values-order", "file", "--dry-run"]
    return {CHART / "README.md": _output([*command, "--log-level", "error"])}


def rendered() -> Files:
    """Each case of the chart's tests, as it comes out."""
    return {RENDERED / case.name: template("--values", str(case)) for case in sorted(CASES.glob("*.yaml"))}


def base() -> Files:
    """The defaults as plain manifests, without what is Helm's own, and a Secret that is made beside them."""
    options = ("--skip-tests", "--set", BASE_VALUES)
    documents = [plain(document) for document in yaml.safe_load_all(template(*options))]
    text = yaml.safe_dump_all(documents, sort_keys=False, width=110)
    head = "# Made from charts/earshot by charts/generate.py; change the chart, or an overlay.\n"
    return {BASE / "earshot.yaml": (head + text).encode()}


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """A manifest without its namespace, which kustomize sets, and without Helm's labels."""
    metadata = dict(document["metadata"])
    metadata.pop("namespace")
    metadata["labels"] = {name: text for name, text in metadata["labels"].items() if name not in HELM_LABELS}
    return document | {"metadata": metadata}


def template(*options: str) -> bytes:
    """The chart as manifests, as release ``earshot`` in namespace ``earshot``; its key is none."""
    kube = ("--kube-version", "1.34.0")
    text = _output(["helm", "template", "earshot", str(CHART), "--namespace", "earshot", *kube, *options])
    secret = rb'(?m)^(  (?:keys|tls\.crt|tls\.key|ca\.crt): ").+"$'
    return re.sub(secret, rb'\1%s"' % base64.b64encode(_KEY), text)


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def stale(files: Files) -> list[Path]:
    """Those that are not on the disk as they should be."""
    return [path for path, content in files.items() if not path.is_file() or path.read_bytes() != content]


def main(check: bool) -> int:
    """Writes, or checks, one kind after the other: what the chart holds goes into what it renders."""
    wrong = []
    for make in (envoy_files, rules, boards, readme, rendered, base):
        files = make()
        wrong += stale(files)
        if not check:
            for path, content in files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    for path in wrong:
        print(f"{'stale' if check else 'written'}: {path.relative_to(REPOSITORY)}")  # noqa: T201
    return int(check and bool(wrong))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
