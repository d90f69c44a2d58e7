"""A service that neither counts its calls nor logs them: what these cost is its lead over the real one.

``python -m benchmarks.peers.unobserved stt|classification``; all else is the service itself.
"""

from __future__ import annotations

import runpy
import sys

from earshot.runtime.book import Book
from earshot.runtime.metrics import Metrics


def main(service: str) -> None:
    """Runs the service until it is stopped."""

    def nothing(*_: object) -> None:
        """In place of what is measured."""

    Book.add = Metrics.begin = nothing  # type: ignore[assignment,method-assign]
    runpy.run_module(f"earshot.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv.pop())
