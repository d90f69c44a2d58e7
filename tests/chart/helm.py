"""Helm as a function: values in, manifests out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "charts" / "earshot"
CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
Document = dict[str, Any]


def template(values: Document | None = None, *options: str) -> str:
    """The chart rendered with these values. Raises CalledProcessError where helm refuses."""
    command = ["helm", "template", "earshot", str(CHART), "--namespace", "earshot", "--values", "-", *options]
    run = subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, check=True)
    return run.stdout


def documents(values: Document | None = None) -> list[Document]:
    """The manifests, parsed."""
    return [document for document in yaml.safe_load_all(template(values)) if document]


def refusal(values: Document) -> str:
    """What helm says against these values; empty where it takes them."""
    try:
        template(values)
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    return ""


def find(found: list[Document], kind: str, name: str) -> Document:
    """The one manifest of that kind and name."""
    (document,) = [one for one in found if one["kind"] == kind and one["metadata"]["name"] == name]
    return document


def nested(path: str, value: object) -> Document:
    """``"a.b", 1`` as ``{"a": {"b": 1}}``."""
    head, _, rest = path.partition(".")
    return {head: nested(rest, value) if rest else value}
