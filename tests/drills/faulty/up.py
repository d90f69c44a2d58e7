"""``earshot up`` with those services: takes the same options."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from earshot.local import replicas

SPEECH, TEXTS = (Path(__file__).with_name(f"{kind}_service.py") for kind in ("speech", "text"))

replicas.STT = replace(replicas.STT, command=(sys.executable, str(SPEECH)))  # type: ignore[misc]
replicas.CLASSIFICATION = replace(  # type: ignore[misc]
    replicas.CLASSIFICATION, command=(sys.executable, str(TEXTS))
)

if __name__ == "__main__":
    from earshot.cli.__main__ import main

    sys.argv[1:1] = ["up"]
    main()
