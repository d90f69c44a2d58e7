"""The dashboards, as the JSON that Grafana loads."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.data_plane import data_plane
from monitoring.service import service
from monitoring.speech import speech

_MADE_BY: Final = {"service": service, "speech": speech, "data-plane": data_plane}


def dashboards() -> dict[str, str]:
    """The text of each file, by its name."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {f"{name}.json": encoder.encode(make().build()) + "\n" for name, make in _MADE_BY.items()}
