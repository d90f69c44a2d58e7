"""A Prometheus beside the stack: it reads every replica and Envoy, and has the rules that a cluster has."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earshot import errors
from earshot.local import http
from earshot.local.ports import LOOPBACK, is_free
from earshot.local.processes import Child
from earshot.local.tasks import cancel

if TYPE_CHECKING:
    from collections.abc import Callable

    from earshot.local.state import StateFolder

NAMESPACE: Final = "local"  # targets are labelled as in a cluster, so that one set of queries fits both
RELEASE: Final = "earshot"
START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0
_SCRAPE: Final = "2s"
_KEPT: Final = "24h"
_LOOK_SECONDS: Final = 0.5  # between two looks at who runs

Target = dict[str, Any]


def rules() -> Path:
    """The rules file: in the installed package, else in the repository."""
    installed = Path(__file__).with_name("prometheus")
    folder = installed if installed.is_dir() else Path(__file__).parents[3] / "deploy" / "prometheus"
    return folder / "rules.yaml"


def target(name: str, port: int, path: str = "/metrics") -> Target:
    """Where to read the figures of ``name``, as Prometheus's service discovery by files has it."""
    labels = {"namespace": NAMESPACE, "pod": f"{RELEASE}-{name}", "__metrics_path__": path}
    return {"targets": [f"{LOOPBACK}:{port}"], "labels": labels}


class Prometheus:
    """One Prometheus process, and the list of who it reads."""

    def __init__(self, state: StateFolder, port: int, targets: Callable[[], list[Target]]) -> None:
        """``targets`` says who is to be read now.

        Raises:
            FailedPreconditionError: Prometheus is not on the PATH, or the port is taken.
        """
        self.port = port
        self._binary = _binary()
        self._folder = state.root / "prometheus"
        self._log = state.logs / "prometheus.log"
        self._targets = targets
        self._written: list[Target] | None = None
        self._following: asyncio.Task[None] | None = None
        self.restarts = 0
        self.child: Child | None = None
        if not is_free(port):
            raise errors.FailedPreconditionError(
                f"port {port} is in use: give Prometheus another by --prometheus-port"
            )

    @property
    def url(self) -> str:
        """Where to ask it."""
        return f"http://{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Starts it and waits until it answers.

        Raises:
            FailedPreconditionError: it ended instead, or did not get ready in time.
        """
        self._folder.mkdir(exist_ok=True)
        config = self._folder / "prometheus.json"  # JSON is YAML
        config.write_text(json.dumps(self._config()), encoding="utf-8")
        self._write_targets()
        self.child = await Child.start(self._command(config), os.environ, self._log)
        await self.child.ready("Prometheus", self._answers, START_SECONDS, patience=_STOP_SECONDS)
        self._following = self._following or asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Ends it."""
        if self._following is not None:
            await cancel(self._following)
        if self.child is not None:
            await self.child.stop(patience=_STOP_SECONDS)

    async def _follow(self) -> None:
        """Replicas come and go, and have new ports when they come back."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            with suppress(OSError):  # no room on the disk: again at the next look
                self._write_targets()

    def _write_targets(self) -> None:
        targets = self._targets()
        if targets == self._written:
            return
        made = self._folder / ".targets.json.new"
        made.write_text(json.dumps(targets), encoding="utf-8")
        made.replace(self._folder / "targets.json")
        self._written = targets

    async def _answers(self) -> bool:
        return await http.answers(self.port, "/-/ready")

    def _config(self) -> dict[str, Any]:
        discovery = [{"files": [str(self._folder / "targets.json")]}]
        return {
            "global": {"scrape_interval": _SCRAPE, "evaluation_interval": _SCRAPE},
            "rule_files": [str(rules())],
            "scrape_configs": [{"job_name": RELEASE, "file_sd_configs": discovery}],
        }

    def _command(self, config: Path) -> list[str]:
        return [
            self._binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--storage.tsdb.retention.time={_KEPT}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--enable-feature=exemplar-storage",  # which lead from figures to traces
            "--log.level=warn",
        ]


def _binary() -> str:
    found = shutil.which("prometheus")
    if found is None:
        raise errors.FailedPreconditionError(
            "prometheus is not on the PATH: get it from prometheus.io, or leave --prometheus away"
        )
    return found
