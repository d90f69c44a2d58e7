"""Frames of any rate, layout and sample format to blocks of one channel at one rate.

ffmpeg's swresample does the work: a polyphase filter with a Kaiser window, here of twice its default
length (an alias of 8.5 kHz comes out 88 dB down instead of 26), and the downmix of ITU-R BS.775 for
channels that have places (5.1 and the like). Channels without places count alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from earshot.audio.checks import bad_content, check_channels, check_rate
from earshot.audio.formats import SAMPLE_RATE

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.layout import AudioLayout
    from av.filter.context import FilterContext

BLOCK: Final = SAMPLE_RATE  # samples: one second
_RESAMPLER: Final = {"filter_size": "64", "rematrix_maxval": "1"}  # the second: a mix never clips


class Resampler:
    """Takes frames as they come, gives float32 mono blocks at 16 kHz, full scale -1 to 1.

    A frame unlike the one before it (some streams change in the middle) starts a new filter. ``block``
    is the number of samples a block, but for the last; 0 gives them as soon as they are known.
    """

    def __init__(self, block: int = BLOCK) -> None:
        self._block = block
        self._graph: Graph | None = None
        self._shape: tuple[int, str, str] = (0, "", "")

    def push(self, frame: AudioFrame) -> Iterator[NDArray[np.float32]]:
        """The blocks that are full once ``frame`` is in."""
        shape = (frame.sample_rate, frame.format.name, frame.layout.name)
        if shape != self._shape:
            yield from self.flush()
            self._graph, self._shape = _graph(frame, self._block), shape
        yield from self._through(frame)

    def flush(self) -> Iterator[NDArray[np.float32]]:
        """What is left, as the last block; of less than about 4 ms nothing is."""
        yield from self._through(None)
        self._graph, self._shape = None, (0, "", "")

    def _through(self, frame: AudioFrame | None) -> Iterator[NDArray[np.float32]]:
        if (graph := self._graph) is None:
            return
        graph.push(frame)
        while True:
            try:
                block = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):  # all given for now, or for ever
                return
            yield block.to_ndarray()[0]


def _graph(frame: AudioFrame, block: int) -> Graph:
    check_rate(frame.sample_rate)
    check_channels(frame.layout.nb_channels)
    try:
        return _configured(frame, block)
    except (av.FFmpegError, ValueError) as exc:
        message = f"channels laid out as {frame.layout.name} cannot be mixed to one: send mono or stereo"
        raise bad_content("AUDIO_BAD_CHANNEL_COUNT", message) from exc


def _configured(frame: AudioFrame, block: int) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add(
        "abuffer",
        sample_rate=str(frame.sample_rate),
        sample_fmt=frame.format.name,
        channel_layout=frame.layout.name,
        time_base=str(Fraction(1, frame.sample_rate)),
    )
    nodes = [source, *_mixer(graph, frame.layout)]
    nodes.append(graph.add("aresample", **_RESAMPLER))
    nodes.append(
        graph.add("aformat", sample_rates=f"{SAMPLE_RATE}", sample_fmts="flt", channel_layouts="mono")
    )
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes).configure()
    if block:
        graph.set_audio_frame_size(block)
    return graph


def _mixer(graph: Graph, layout: AudioLayout) -> list[FilterContext]:
    """A plain mean for channels that libav knows only the number of ("3 channels")."""
    count = layout.nb_channels
    if not layout.name.endswith(" channels"):
        return []
    return [graph.add("pan", "mono|c0=" + "+".join(f"{1 / count}*c{index}" for index in range(count)))]
