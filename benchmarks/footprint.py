"""Memory and start-up of the default stack on one machine: ``python -m benchmarks.footprint``.

Starts ``earshot up`` (2 speech-to-text and 2 classification replicas, Envoy), puts some calls through it,
and prints the time until it is ready and each process's memory. Resident memory counts shared pages in every
process that has them; the proportional set size (PSS) shares them out, so only its sum is the stack's own.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import psutil

from benchmarks.stack import running
from earshot.client import Client

MEBIBYTE = 2**20
CALLS = 8


@dataclass(frozen=True)
class Row:
    """One process of the stack; memory in MiB."""

    role: str
    pid: int
    rss: float
    pss: float


def main() -> None:
    """Measures once and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures here too")
    into = parser.parse_args().json
    with running() as (process, port, ready):
        call(port)
        rows = sorted(measure(process), key=lambda row: row.role)
    report(rows, ready)
    if into:
        figures = {"ready_seconds": ready, "processes": [asdict(row) for row in rows]}
        into.write_text(json.dumps(figures, indent=2))


def call(port: int) -> None:
    """Some calls to every replica: what is loaded late is loaded then."""
    sample = Path(str(files("earshot.local"))) / "samples" / "ask-not.flac"
    with Client(f"127.0.0.1:{port}", timeout=120) as client:
        for _ in range(CALLS):
            client.classify_speech(sample, ["politics", "sport"])


def measure(root: psutil.Process) -> Iterator[Row]:
    """Every process below ``root`` and itself, by what it does."""
    for process in (root, *root.children(recursive=True)):
        memory = process.memory_full_info()
        yield Row(role(process), process.pid, memory.rss / MEBIBYTE, memory.pss / MEBIBYTE)


def role(process: psutil.Process) -> str:
    """What a process is for."""
    command = " ".join(process.cmdline())
    parent = process.parent()
    if parent and "earshot.runtime.worker" in command:
        pool = process.cmdline()[-1]  # "decoders", "listener-0"
        return role(parent).replace("front", pool.partition("-")[0].removesuffix("s"))
    found = re.search(r"-m earshot\.(stt|classification)", command)
    if found:
        return f"{found[1]}: front process"
    return "Envoy" if "envoy" in process.name() else "supervisor"


def report(rows: list[Row], ready: float) -> None:
    """The table, and what was promised."""
    print(f"{'process':36}{'pid':>8}{'RSS MiB':>10}{'PSS MiB':>10}")
    for row in rows:
        print(f"{row.role:36}{row.pid:>8}{row.rss:>10.0f}{row.pss:>10.0f}")
    fronts = [row.rss for row in rows if "front" in row.role]
    print(f"\nready after {ready:.1f} s (at most 20)")
    print(f"largest front process {max(fronts):.0f} MiB resident (at most 120)")
    pss, rss = sum(row.pss for row in rows), sum(row.rss for row in rows)
    print(f"whole stack {pss:.0f} MiB PSS, {rss:.0f} MiB RSS (at most 2560)")


if __name__ == "__main__":
    main()
