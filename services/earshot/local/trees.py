"""Envoy's description as trees: read from ``deploy/envoy``, changed by field, written as YAML."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

Tree = dict[str, Any]
Value = int | str  # a number, or a placeholder for one: Envoy reads quoted numbers as numbers
_WIDTH: Final = 10_000  # no text is broken: a line of a template must stay one


@dataclass(frozen=True, slots=True)
class Address:
    """A host and its port."""

    host: str
    port: Value


def description() -> Path:
    """The folder of the description: in the installed package, else in the repository."""
    installed = Path(__file__).with_name("envoy")
    return installed if installed.is_dir() else Path(__file__).parents[3] / "deploy" / "envoy"


def load(name: str) -> Tree:
    """One file of the description, free to be changed."""
    shared: Tree = yaml.safe_load((description() / f"{name}.yaml").read_text(encoding="utf-8"))
    tree = copy(shared)
    tree.pop("x-shared", None)
    return tree


def copy(tree: Tree) -> Tree:
    """The same, whose parts are no other's: what an anchor puts in two places becomes two things."""
    copied: Tree = json.loads(json.dumps(tree))
    return copied


def to_yaml(config: Tree) -> str:
    """The configuration as text. Every string is quoted: Envoy takes a bare ``y`` for true."""
    return yaml.dump(config, Dumper=_Quoting, sort_keys=False, width=_WIDTH)


class _Quoting(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoting.add_representer(str, _Quoting.represent_text)


def set_address(owner: Tree, address: Address) -> None:
    """``owner`` listens there, or is there."""
    owner["address"]["socket_address"] |= {"address": address.host, "port_value": address.port}


def manager(listener: Tree) -> Tree:
    """The connection manager of a listener that has one."""
    found: Tree = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def only_endpoint(cluster: Tree) -> Tree:
    """The endpoint of a cluster that has one."""
    endpoint: Tree = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    return endpoint


def only(named: list[Tree], name: str) -> Tree:
    """The one of that name."""
    (found,) = [item for item in named if item["name"] == name]
    return found


def when(condition: str, items: list[Any]) -> list[Any]:
    """The items, between the lines of a template that keep them by ``condition``; empty: as they are."""
    return [f"{{{{- if {condition} }}}}", *items, "{{- end }}"] if condition else items


def when_fields(condition: str, fields: Tree) -> Tree:
    """The same for fields."""
    if not condition:
        return fields
    return {f"{{{{- if {condition} }}}}": None, **fields, f"{{{{- end }}}}{{{{- /* {condition} */}}}}": None}
