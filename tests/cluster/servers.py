"""What a release has beside it in the cluster: a Redis, and an issuer that gives keys of tokens by https."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping

from earshot.local.certificates import Signer
from tests.cluster.kube import Document, Namespace

REDIS = "docker.io/library/redis:7"
# Gives the files of /keys by https.
_HTTPS = """
import functools, http.server, ssl
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/keys")
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@contextlib.contextmanager
def redis(space: Namespace) -> Iterator[str]:
    """An empty Redis for so long; gives the name of the Secret with its URL."""
    url = f"redis://redis.{space.name}:6379/0"
    with secret(space, "redis-url", {"url": url.encode()}), _served(space, "redis", REDIS, 6379, uid=999):
        yield "redis-url"


@contextlib.contextmanager
def issuer(space: Namespace, image: str, jwks: bytes) -> Iterator[tuple[str, str]]:
    """Where these keys are for so long, and the name of the Secret with the authority of that place."""
    host, signer = f"issuer.{space.name}.svc.cluster.local", Signer.new("issuer")
    with (
        secret(space, "issuer-tls", signer.issue(host)),
        secret(space, "issuer-keys", {"jwks.json": jwks}),
        _served(space, "issuer", image, 443, mounts={"/tls": "issuer-tls", "/keys": "issuer-keys"}),
    ):
        yield f"https://{host}/jwks.json", "issuer-tls"


@contextlib.contextmanager
def secret(space: Namespace, name: str, files: Mapping[str, bytes]) -> Iterator[None]:
    """A Secret of that name for so long."""
    write_secret(space, name, files)
    try:
        yield
    finally:
        space.kubectl("delete", "secret", name)


def write_secret(space: Namespace, name: str, files: Mapping[str, bytes]) -> None:
    """Makes it, or changes it to this."""
    data = {key: base64.b64encode(content).decode() for key, content in files.items()}
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
    space.kubectl("apply", "--filename", "-", text=json.dumps(document))


@contextlib.contextmanager
def _served(
    space: Namespace,
    name: str,
    image: str,
    port: int,
    *,
    uid: int = 10001,
    mounts: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """A pod, and a Service of the same name; ``mounts``: Secrets by where they are seen."""
    target = 8443 if port == 443 else port
    ports = [{"port": port, "targetPort": target}]
    labels = {"app": name}
    metadata = {"name": name, "labels": labels}
    service = {"kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}}
    pod = {"kind": "Pod", "metadata": metadata, "spec": _spec(name, image, target, uid, mounts or {})}
    items = [{"apiVersion": "v1"} | one for one in (service, pod)]
    space.kubectl(
        "apply", "--filename", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    try:
        space.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
        yield
    finally:
        space.kubectl("delete", f"service/{name}", f"pod/{name}", "--grace-period=1", "--wait=true")


def _spec(name: str, image: str, port: int, uid: int, mounts: Mapping[str, str]) -> Document:
    command = {"command": ["python", "-c", _HTTPS]} if mounts else {}
    seen = [{"name": held, "mountPath": path, "readOnly": True} for path, held in mounts.items()]
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": seen,
    }
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "fsGroup": uid,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container | command],
        "volumes": [{"name": held, "secret": {"secretName": held}} for held in mounts.values()],
    }
