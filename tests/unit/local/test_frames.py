"""What two readings of a stack come to."""

from __future__ import annotations

from typing import Any

import pytest

from earshot.local.figures import Moment, Reading, parse, quantile
from earshot.local.frames import frame

HISTOGRAM = """\
# TYPE t histogram
t_bucket{le="1.0"} %d
t_bucket{le="2.0"} %d
t_bucket{le="+Inf"} %d
"""


def stt(name: str, port: int, text: str) -> tuple[tuple[str, int], tuple[dict[str, Any], Reading]]:
    return (name, port), ({"name": name, "service": "stt"}, parse(text))


def calls(ok: int, wrong: int = 0, in_flight: int = 0) -> str:
    return f"""\
# TYPE earshot_requests_total counter
earshot_requests_total{{component="stt",method="Recognize",code="OK",client="a"}} {ok}
earshot_requests_total{{component="stt",method="Recognize",code="INTERNAL",client="b"}} {wrong}
# TYPE earshot_requests_in_flight gauge
earshot_requests_in_flight{{component="stt",method="Recognize"}} {in_flight}
# TYPE earshot_workers gauge
earshot_workers{{component="stt",pool="engines"}} 2
earshot_workers{{component="stt",pool="decoders"}} 1
# TYPE earshot_worker_busy_seconds_total counter
earshot_worker_busy_seconds_total{{component="stt",pool="engines"}} {ok}
# TYPE earshot_audio_seconds_total counter
earshot_audio_seconds_total{{component="stt",codec="flac",client="a"}} {ok * 2}
# TYPE earshot_audio_bytes_total counter
earshot_audio_bytes_total{{component="stt",codec="flac",client="a"}} {ok * 100}
# TYPE earshot_decoded_bytes_total counter
earshot_decoded_bytes_total{{component="stt",codec="flac",client="a"}} {ok * 300}
# TYPE earshot_real_time_factor histogram
earshot_real_time_factor_sum{{component="stt"}} {ok * 0.5}
earshot_real_time_factor_count{{component="stt"}} {ok}
"""


def test_a_frame_is_of_the_time_between() -> None:
    before = Moment(10.0, dict([stt("stt-1", 1, calls(100)), stt("stt-2", 2, calls(50))]))
    after = Moment(
        12.0, dict([stt("stt-1", 1, calls(103, wrong=1, in_flight=4)), stt("stt-2", 2, calls(50))])
    )
    made = frame(before, after)
    (method,) = made.methods
    assert (method.rate, method.errors, method.p50) == (2.0, 0.25, None)
    first, second = made.replicas
    assert (first.rate, first.share, first.in_flight) == (2.0, 2.0, 4)
    assert (second.rate, second.share) == (0.0, 0.0)
    assert first.busy == pytest.approx(3 / 2 / 2)
    assert (first.real_time_factor, second.real_time_factor) == (0.5, None)
    (codec,) = made.codecs
    assert (codec.audio, codec.received, codec.saved) == (3.0, 150.0, 300.0)


def test_a_replica_that_was_not_there_has_done_nothing_yet() -> None:
    before = Moment(0.0, dict([stt("stt-1", 1, calls(100))]))
    after = Moment(1.0, dict([stt("stt-1", 9, calls(7))]))
    (replica,) = frame(before, after).replicas
    assert (replica.rate, replica.share) == (0.0, None)


def test_a_counter_that_began_again_has_grown_from_zero() -> None:
    assert parse(calls(3)).since(parse(calls(100))).total("earshot_requests_total") == 3


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        ((10, 10, 10), 0.5, 0.5),
        ((0, 10, 10), 0.5, 1.5),
        ((5, 10, 10), 0.95, 1.9),
        ((0, 0, 10), 0.5, 2.0),
        ((0, 0, 0), 0.5, None),
    ],
)
def test_a_quantile_is_as_prometheus_has_it(
    buckets: tuple[int, int, int], share: float, expected: float | None
) -> None:
    found = quantile(share, parse(HISTOGRAM % buckets), "t")
    assert found == (pytest.approx(expected) if expected is not None else None)
