"""``earshot cluster``: a release on Kubernetes, without kubectl."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from earshot.cli import cluster_tables, errors, output
from earshot.cluster.components import Component

if TYPE_CHECKING:
    from earshot.cluster.logs import Line
    from earshot.cluster.release import Release

_WHERE: Final = "Where"
_PROOF_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 1.0  # between two looks whether it is over
_UNITS: Final = {"h": 3600, "m": 60, "s": 1}

Namespace: TypeAlias = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", show_default=False, help="Default: the context's own.", rich_help_panel=_WHERE
    ),
]
ReleaseName: TypeAlias = Annotated[
    str, typer.Option("--release", help="Name given to helm install.", rich_help_panel=_WHERE)
]
Context: TypeAlias = Annotated[
    str,
    typer.Option(
        show_default=False, help="Of the kubeconfig; default: the current one.", rich_help_panel=_WHERE
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _seconds(text: str) -> int:
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or parts is None:
        raise typer.BadParameter(f"{text!r} is not a time, as 90s, 10m or 1h30m")
    return max(
        1, sum(int(number or 0) * unit for number, unit in zip(parts.groups(), _UNITS.values(), strict=True))
    )


app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def cluster() -> None:
    """Look after a release on Kubernetes, without kubectl.

    The cluster is that of the kubeconfig: KUBECONFIG, else ~/.kube/config.
    """


@app.command()
def status(
    as_json: Json = False, namespace: Namespace = "", release: ReleaseName = "earshot", context: Context = ""
) -> None:
    """Show replicas, autoscalers, pods, and which replicas each Envoy sends calls to.

    A pod that does not come up is shown with the reason and the last line of its log.
    """
    from earshot.cluster.status import status as look
    from earshot.cluster.tunnels import quiet

    with quiet():
        seen = look(_release(context, namespace, release))
    if as_json:
        output.print_json(cluster_tables.record(seen))
        return
    cluster_tables.show(seen)
    for note in seen.notes:
        errors.say(note)


@app.command()
def wait(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds.")] = 300.0,
    namespace: Namespace = "",
    release: ReleaseName = "earshot",
    context: Context = "",
) -> None:
    """Return once all pods are ready and every Envoy sends calls to them; say what is missing until then."""
    from earshot.cluster.tunnels import quiet
    from earshot.cluster.waiting import wait as until_ready

    started = time.monotonic()
    with quiet():
        until_ready(_release(context, namespace, release), timeout, errors.say)
    typer.echo(f"ready after {time.monotonic() - started:.1f} s")


@app.command()
def forward(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port for callers, on loopback.")] = 8080,
    namespace: Namespace = "",
    release: ReleaseName = "earshot",
    context: Context = "",
) -> None:
    """Give the release a port on this machine until Ctrl-C.

    All connections go to one Envoy; when that goes, new ones go to another. An API key or a certificate
    given here is tried at once, and added to nobody's calls: callers send their own.
    """
    from earshot.cluster.forwarding import LOOPBACK, Forwarder, Route
    from earshot.cluster.tunnels import quiet

    chosen = _release(context, namespace, release)
    chosen.deployments()  # says so where there is no such release
    route = Route(chosen, errors.say)
    with quiet(), _until_interrupted("stopped"), Forwarder(port, route, errors.say) as server:
        route.connect()[0].close()  # what keeps calls from getting there shows now
        with server.serving():
            _try_proof(f"{LOOPBACK}:{port}")
            with _told_to_end() as told:
                typer.echo(f"ready on {LOOPBACK}:{port}: gRPC, gRPC-Web and JSON; Ctrl-C stops")
                while not told.wait(_LOOK_SECONDS):
                    pass
            raise KeyboardInterrupt


@app.command()
def rotate(
    pause: Annotated[
        float, typer.Option(min=0, help="Seconds until all pods have a changed Secret, twice.")
    ] = 150.0,
    namespace: Namespace = "",
    release: ReleaseName = "earshot",
    context: Context = "",
) -> None:
    """Give Envoy and the pods new certificates, of a new authority, while calls run.

    Those that the chart has made (tls.internal); it keeps the new ones. Takes two pauses. Who stops it in
    between begins again.
    """
    from earshot.cluster import rotation
    from earshot.cluster.secrets import Secret
    from earshot.local.certificates import Signer

    def handed_over(done: str) -> None:
        errors.say(f"{done}; waiting {pause:g} s until all pods have it")
        time.sleep(pause)

    chosen = _release(context, namespace, release)
    chosen.deployments()  # says so where there is no such release
    secrets = {host: Secret(name, chosen.namespace, context) for host, name in rotation.names(chosen).items()}
    rotation.rotate(secrets, Signer.new(f"{release} of {chosen.namespace}").issue, handed_over)
    typer.echo("rotated: only the new authority is believed")


@app.command()
def logs(  # noqa: PLR0913, PLR0917 - a command line
    request_id: Annotated[
        str, typer.Option(show_default=False, help="Only what is logged about this request.")
    ] = "",
    component: Annotated[
        list[Component] | None, typer.Option(show_default=False, help="Repeatable; default: all.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    since: Annotated[
        int | None,
        typer.Option(
            parser=_seconds, metavar="TIME", show_default=False, help="As 90s, 10m or 1h30m; default: all."
        ),
    ] = None,
    as_json: Json = False,
    namespace: Namespace = "",
    release: ReleaseName = "earshot",
    context: Context = "",
) -> None:
    """Print what all pods have logged, in the order of time.

    A request's id is in the x-request-id header of its answer, and in the client's exception.
    """
    from earshot.cluster.logs import Query
    from earshot.cluster.logs import follow as following
    from earshot.cluster.logs import read as reading

    chosen = _release(context, namespace, release)
    chosen.deployments()  # says so where there is no such release
    query = Query(tuple(component or ()), since, request_id)
    with _until_interrupted():
        for line in (following if follow else reading)(chosen, query):
            typer.echo(output.to_json(_record(line)) if as_json else f"{line.pod} {line.text}")


def _release(context: str, namespace: str, name: str) -> Release:
    from earshot.cluster.connection import connect
    from earshot.cluster.release import Release

    found = connect(context)
    return Release(found, namespace or found.namespace, name)


def _try_proof(target: str) -> None:
    """Raises what a caller with the proof that was given would be told; nothing without one."""
    from earshot.cli.proofs import client_options
    from earshot.client import Client
    from earshot.errors import PermissionDeniedError

    options = client_options()
    if not (options["api_key"] or options["credentials"]):
        return
    with suppress(PermissionDeniedError), Client(target, timeout=_PROOF_SECONDS, **options) as client:
        client.list_models()  # who is known, and may only do other things, is not refused here


def _record(line: Line) -> output.Record:
    from earshot.cluster.logs import parsed

    return output.Record(
        {
            "time": line.time.isoformat(),
            "pod": line.pod,
            "component": line.component,
            "container": line.container,
            "log": parsed(line.text) or line.text,
        }
    )


@contextmanager
def _until_interrupted(farewell: str = "") -> Iterator[None]:
    """Ctrl-C and a signal to end are the usual way out of what is inside."""
    usual = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        if farewell:
            typer.echo(farewell)
    finally:
        signal.signal(signal.SIGTERM, usual)


@contextmanager
def _told_to_end() -> Iterator[Event]:
    """Set by Ctrl-C and a signal to end. What a signal raises is lost where it comes within a finalizer."""
    told = Event()
    usual = {each: signal.signal(each, lambda *_: told.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for each, handler in usual.items():
            signal.signal(each, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
