"""``earshot up`` whose services, and not Envoy, which hangs with it, take their time from libfaketime."""

from __future__ import annotations

import os
import sys

from earshot.local import replicas

replicas.ENVIRONMENT["LD_PRELOAD"] = os.environ["EARSHOT_DRILL_PRELOAD"]

if __name__ == "__main__":
    from earshot.cli.__main__ import main

    sys.argv[1:1] = ["up"]
    main()
