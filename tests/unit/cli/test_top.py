"""What `earshot top` draws."""

from __future__ import annotations

import io

from rich.console import Console

from earshot.cli import top
from earshot.local.frames import CodecFrame, Frame, MethodFrame, ReplicaFrame


def test_each_row_stays_on_one_line_of_a_usual_terminal() -> None:
    """The longest names that there are, and large numbers."""
    frame = Frame(
        seconds=2.0,
        methods=[MethodFrame("classification", "StreamingClassifySpeech", 1234.5, 0.125, 0.0098, 61.5)],
        replicas=[ReplicaFrame("classification-1", "classification", 1234.5, 1.02, 128, 64, 1.0, 12, 10.25)],
        codecs=[CodecFrame("webm_opus", 123.45, 1e6, 1e7)],
    )
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as drawn:
        console.print(top._drawn(frame))
    lines = drawn.get().splitlines()
    found = [line.split() for line in lines if line.split()[:1] in (["classification"], ["classification-1"])]
    assert found == [
        ["classification", "StreamingClassifySpeech", "1234.5", "12.5%", "9.8", "ms", "61.5", "s"],
        ["classification-1", "1234.5", "1.02", "128", "64", "100%", "10.25", "12"],
    ]
