"""Weights for pods to take: a claim on a folder of this machine, and a hub on it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.kube import Namespace, kubectl
from tests.unit.weights.conftest import Page, Site, serving
from tests.unit.weights.test_hub import COMMIT, publish

REPOSITORY = "someone/digits"


@contextlib.contextmanager
def claim(space: Namespace, folder: Path) -> Iterator[str]:
    """A PersistentVolumeClaim that is bound to a folder of the nodes; gives its name."""
    name = f"{space.name}-weights"
    common = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    source = {"hostPath": {"path": str(folder), "type": "Directory"}}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": common | source | {"capacity": {"storage": "1Gi"}},
    }
    wanted = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": common | {"volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
    }
    kubectl("apply", "--filename", "-", text=json.dumps(volume))
    space.kubectl("apply", "--filename", "-", text=json.dumps(wanted))
    try:
        yield name
    finally:
        space.kubectl("delete", "pvc", name, "--wait=false")  # it goes when no pod has it any more
        kubectl("delete", "pv", name, "--wait=false")


def address_for(pod: str) -> str:
    """This machine's address as a pod sees it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((pod, 9))  # sends nothing
        return str(way.getsockname()[0])


def converted(checkpoint: Path, folder: Path) -> dict[str, bytes]:
    """A Whisper checkpoint as the hub has it for faster-whisper, by the names of its files."""
    command = [sys.executable, "-m", "earshot.stt.engines.conversion", str(checkpoint), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextlib.contextmanager
def hub(address: str, files: dict[str, bytes]) -> Iterator[Site]:
    """A mirror of the Hugging Face hub that has these files as ``REPOSITORY``."""
    with serving(address) as site:
        publish(site, REPOSITORY, files)
        yield site


def corrupt(site: Site) -> None:
    """From now on it gives other weights than it lists, of the same size."""
    path = f"/{REPOSITORY}/resolve/{COMMIT}/model.bin"
    right = site.pages[path]
    site.pages[path] = Page(right.body[:-1] + bytes([right.body[-1] ^ 1]), right.headers)
