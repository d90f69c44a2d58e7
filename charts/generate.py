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
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from earshot.local.dataplane import DnsDiscovery, Parameters, render
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
BASE_VALUES: Final = "resumeKeys.secret=earshot-resume-keys"  # nothing secret is in a repository
_GRPC_PORT: Final = 50051
_KEY: Final = b"made anew for each release"
_ORIGIN: Final = "{{ origin }}"

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
        allowed_origins=(_ORIGIN,),
    )
    return {
        CHART / "files" / "envoy.yaml": for_each_origin(to_yaml(render(parameters))).encode(),
        CHART / "files" / "earshot.binpb": (description() / "earshot.binpb").read_bytes(),
    }


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
    return re.sub(rb'(?m)^(  keys: ").+"$', rb'\1%s"' % base64.b64encode(_KEY), text)


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
