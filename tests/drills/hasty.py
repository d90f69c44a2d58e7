"""``earshot up`` whose Envoy waits less long for who is slow, so that a drill need not wait for that.

The services' own times are settings; Envoy's are of its description, and nobody sets them.
"""

from __future__ import annotations

import sys

from earshot.local import envoy
from tests.envoy.hasty import shortened

TIMES = {  # as it is described, and here
    "request_timeout": ("600s", "120s"),
    "idle_timeout": ("300s", "60s"),  # of the routes of streams
}

if __name__ == "__main__":
    from earshot.cli.__main__ import main

    envoy.to_yaml = shortened(TIMES)
    sys.argv[1:1] = ["up"]
    main()
