"""What a stream counts."""

from __future__ import annotations

from earshot.runtime.metrics import Metrics
from earshot.stt.streaming.figures import Figures
from earshot.stt.streaming.wire import Heard

FIRST = "earshot_stream_first_interim_seconds"


def _value(metrics: Metrics, name: str) -> float:
    value = metrics.registry.get_sample_value(name, {"component": "stt"})
    assert value is not None
    return value


def test_the_first_interim_of_each_stretch_is_counted_once() -> None:
    metrics = Metrics("stt")
    figures = Figures(metrics, 0)
    figures.interim()  # nobody has spoken
    for _ in range(2):
        figures.heard(Heard(received=16_000, speaking=True))
        figures.interim()
        figures.heard(Heard(received=32_000, speaking=True))
        figures.interim()
        figures.heard(Heard(received=48_000, speaking=False))
    assert _value(metrics, f"{FIRST}_count") == 2
    assert 0 <= _value(metrics, f"{FIRST}_sum") < 60
