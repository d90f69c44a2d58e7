"""Beside Envoy in its pod: ``python -m earshot.cluster.drain`` has it drain when the pod is to end.

Envoy does so at two POSTs to its admin, which no Kubernetes hook can send. The pod's signal to stop
comes to this process at once, and to Envoy after its pre-stop pause, when the drain is over.
"""

from __future__ import annotations

import http.client
import signal
import sys
import time
from typing import Final

ADMIN: Final = "127.0.0.1:9901"
# First not ready any more, so that nobody is sent here; then each caller is told to go elsewhere.
STEPS: Final = ("/healthcheck/fail", "/drain_listeners?graceful")
_TRIES, _PAUSE_SECONDS = 5, 0.2


def drain(admin: str = ADMIN) -> None:
    """Starts Envoy's graceful drain. Raises OSError where its admin does not answer, or refuses."""
    for step in STEPS:
        _post(admin, step)


def _post(admin: str, path: str) -> None:
    for left in reversed(range(_TRIES)):
        try:
            _post_once(admin, path)
            break
        except (OSError, http.client.HTTPException) as error:
            if not left:
                raise OSError(f"Envoy's admin at {admin}: POST {path}: {error}") from error
            time.sleep(_PAUSE_SECONDS)


def _post_once(admin: str, path: str) -> None:
    connection = http.client.HTTPConnection(admin, timeout=2.0)
    try:
        connection.request("POST", path)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"answered {answer.status}")
    finally:
        connection.close()


def main() -> None:
    """Waits for the signal to stop, and does it then."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    signal.sigwait(signals)
    try:
        drain()
    except OSError as error:
        sys.exit(f"earshot.cluster.drain: {error}")
    print("Envoy is draining", flush=True)  # noqa: T201 - its log


if __name__ == "__main__":
    main()
