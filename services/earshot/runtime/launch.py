"""What the ``__main__`` of either service does around its own part."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from earshot import __version__, errors
from earshot.runtime import logs
from earshot.runtime.hardening import harden
from earshot.runtime.logs import logger
from earshot.runtime.metrics import Metrics
from earshot.runtime.settings import ServiceSettings, manual, read

Settings = TypeVar("Settings", bound=ServiceSettings)


def launch(name: str, kind: type[Settings], serve: Callable[[Settings], Coroutine[Any, Any, None]]) -> None:
    """Reads settings, sets up the log and serves. Exits with 1 and one clear line when it cannot."""
    _parse_arguments(name, kind)
    harden()
    # What has been imported stays: without this the collector looks through all of it now and then, and the
    # event loop stands still for 30 ms (``python -m benchmarks workers``).
    gc.freeze()
    try:
        settings = read(kind)
        logs.configure(settings.log_level, name, settings.replica)
        asyncio.run(serve(settings))
    except errors.EarshotError as exc:
        sys.exit(f"earshot.{name}: {exc.message}")


def announce_engine(metrics: Metrics, engine: str, model: str, fallback_reason: str) -> None:
    """Says which engine was chosen, and why that one: never in silence."""
    metrics.fallback.info({"fallback_reason": fallback_reason})
    logger().info("engine", engine=engine, model=model, fallback_reason=fallback_reason)


def _parse_arguments(name: str, kind: type[ServiceSettings]) -> None:
    parser = argparse.ArgumentParser(
        prog=f"python -m earshot.{name}",
        description="Serves over gRPC. All settings are environment variables.",
        epilog=f"settings:\n{manual(kind)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"earshot {__version__}")
    parser.parse_args()
