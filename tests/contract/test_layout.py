"""The repository's shape."""

from __future__ import annotations

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = {
    "services", "protos", "deploy", "charts", "tests", "benchmarks", "docs", "Dockerfile", "pyproject.toml",
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile", "SECURITY.md",
}  # fmt: skip


def test_the_top_level_is_what_it_should_be() -> None:
    run = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    tops = {line.partition("/")[0] for line in run.stdout.splitlines()}
    assert {top for top in tops if not top.startswith(".")} <= ROOMS
