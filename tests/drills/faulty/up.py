"""``earshot up`` with that engine: takes the same options."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from earshot.local import replicas

SERVICE = Path(__file__).with_name("service.py")

replicas.STT = replace(replicas.STT, command=(sys.executable, str(SERVICE)))  # type: ignore[misc]

if __name__ == "__main__":
    from earshot.cli.__main__ import main

    sys.argv[1:1] = ["up"]
    main()
