"""TLS of the data plane: who shows which certificate to whom, and the files that Envoy reads them from.

A certificate is a folder with ``tls.crt``, ``tls.key`` and ``ca.crt``, as Kubernetes and cert-manager have
it. Envoy is told of it by a file of its own (SDS), and reads it again when a file in the folder is replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from earshot.local.trees import Tree, load, when_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

# The names that the certificates among ourselves are made out to.
ENVOY_NAME: Final = "envoy.earshot.internal"
SERVICES_NAME: Final = "services.earshot.internal"

# The files of SDS, by what they tell of.
EDGE, CALLERS, INNER, SERVICES = "edge", "callers", "inner", "services"
_SECRET: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name


def certificate(name: str, folder: str) -> Tree:
    """The file of SDS that gives the certificate in ``folder`` that name."""
    content = {
        "certificate_chain": {"filename": f"{folder}/tls.crt"},
        "private_key": {"filename": f"{folder}/tls.key"},
        "watched_directory": {"path": folder},
    }
    return {"resources": [{"@type": _SECRET, "name": name, "tls_certificate": content}]}


def authority(name: str, file: str, subject: str = "") -> Tree:
    """The file of SDS that has peers' certificates checked by an authority's, and made out to ``subject``."""
    content: Tree = {"trusted_ca": {"filename": file}, "watched_directory": {"path": file.rpartition("/")[0]}}
    if subject:
        matcher = {"san_type": "DNS", "matcher": {"exact": subject}}
        content["match_typed_subject_alt_names"] = [matcher]
    return {"resources": [{"@type": _SECRET, "name": name, "validation_context": content}]}


def to_callers(secrets: str, *, checks: bool, conditions: Mapping[str, str]) -> Tree:
    """The edge's socket; ``checks``: callers may show a certificate, and a wrong one ends the connection."""
    socket: Tree = load("tls")["edge"]
    common = socket["typed_config"]["common_tls_context"]
    common["tls_certificate_sds_secret_configs"] = [_source(secrets, EDGE)]
    if checks:
        checked = {"validation_context_sds_secret_config": _source(secrets, CALLERS)}
        common |= when_fields(conditions.get("certificates", ""), checked)
    return socket


def among_us(secrets: str, side: str) -> Tree:
    """The socket of the inner door (``inner``), or to a service (``upstream``): both show who they are."""
    socket: Tree = load("tls")[side]
    common = socket["typed_config"]["common_tls_context"]
    common["tls_certificate_sds_secret_configs"] = [_source(secrets, INNER)]
    common["validation_context_sds_secret_config"] = _source(secrets, SERVICES)
    return socket


def _source(secrets: str, name: str) -> Tree:
    path = {"path": f"{secrets}/{name}.json"}
    return {"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": path}}
