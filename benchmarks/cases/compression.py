"""Whether gRPC's compression of single messages pays: texts and scores, and audio, for which it does not."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

from benchmarks import data, saturation
from benchmarks.harness import Ratio, Report, Scale, Table
from earshot.gen.v1 import classification_pb2
from earshot.local.samples import recordings

LEVEL = 6  # as gRPC has it
LABELS = 10
MANY = "1,000 texts"


def measure(scale: Scale) -> Report:
    """Requests and responses as they go over the wire, by gzip."""
    messages = {
        f"{count:,} texts, {what}": make(count)
        for count in scale.of((1, 32, 1000), (1, 1000))
        for what, make in (("request", request), ("response", response))
    }
    clip = data.clips(10, 1)[0]
    messages["10 s of PCM"] = saturation.recognize(clip)
    messages["10 s of Opus at 24 kbit/s"] = saturation.recognize_opus(clip, "opus:24k")
    rows = {name: packed(content, scale.of(20, 1)) for name, content in messages.items()}
    ratios = [
        Ratio(f"bytes with gzip / without: {name}", share, share, share)
        for name, (_, share, *_) in rows.items()
        if name.startswith(MANY)
    ]
    columns = (
        "message",
        "bytes",
        "with gzip / without",
        "packing, ms",
        "unpacking, ms",
        "pays below, Mbit/s",
    )
    return Report(
        "gRPC compression: texts and audio",
        f"Texts that people wrote to a bank, against {LABELS} labels; each message gzipped as by gRPC. "
        "It pays where the link takes longer for the bytes saved than both ends for packing them.",
        ratios=ratios,
        tables=[Table("Messages", columns, tuple((name, *row) for name, row in rows.items()))],
    )


def packed(content: bytes, times: int) -> tuple[int, float, float, float, float]:
    """Bytes, the share that is left, milliseconds to pack and to unpack, and the rate below which it pays."""
    small = zlib.compress(content, LEVEL)
    packing = spent(lambda: zlib.compress(content, LEVEL), times)
    unpacking = spent(lambda: zlib.decompress(small), times)
    saved = max(0, len(content) - len(small)) * 8
    return (
        *(len(content), len(small) / len(content), packing * 1e3, unpacking * 1e3),
        saved / (packing + unpacking) / 1e6,
    )


def spent(work: Callable[[], object], times: int) -> float:
    """CPU seconds."""
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times


def labels() -> list[str]:
    """As long as labels are."""
    return [label for sample in recordings() for label in sample.labels][:5] + list(data.LABELS)[: LABELS - 5]


def request(count: int) -> bytes:
    """So many texts; there are 741, then they come again."""
    written = data.texts(count)
    return saturation.classify((written * (count // len(written) + 1))[:count], labels())


def response(count: int) -> bytes:
    """Scores for as many, none the same."""
    made = classification_pb2.ClassifyResponse()
    for number in range(count):
        result = made.results.add()
        for rank, label in enumerate(labels()):
            result.labels.add(label=label, score=(zlib.crc32(f"{number} {rank}".encode()) % 10**6) / 10**6)
    return made.SerializeToString()
