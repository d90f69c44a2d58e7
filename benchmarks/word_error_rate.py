"""Word error rate of an engine over real recordings, beside the bare decoder's in the same run.

    python -m benchmarks.word_error_rate                                    # the embedded default
    python -m benchmarks.word_error_rate --engine whisper --model FILE.pt --sets digits
    python -m benchmarks.word_error_rate --target localhost:8080            # over the wire

Both sides are compared in lower case and without punctuation, as the recordings' README asks. The ten
speechocean762 clips, whose references nobody could check by ear, are counted apart as well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jiwer
import pocketsphinx

from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.client import Client
from earshot.runtime.factories import named
from earshot.stt.engines.selection import Selection, select
from earshot.stt.types import SAMPLE_RATE, RecognitionOptions
from earshot.weights import cache_folder

SHARED = Path(os.environ.get("EARSHOT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
_UNCHECKED = "so762-"  # how the names of clips with unchecked references begin


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording and what is said in it."""

    path: Path
    reference: str


@dataclass(frozen=True, slots=True)
class Score:
    """How one hearer did on one set."""

    hearer: str
    recordings: str
    clips: int
    words: int
    word_error_rate: float
    substitutions: int
    deletions: int
    insertions: int
    audio_seconds_per_second: float  # of one process


@dataclass(frozen=True, slots=True)
class Heard:
    """What was written down of one clip, and in what time."""

    text: str
    audio_seconds: float
    seconds: float


Hearer = Callable[[Path], Heard]


def normalised(text: str) -> str:
    """Lower case, letters only, one space between words."""
    return " ".join(re.sub(r"[^a-z ]+", "", text.lower().replace("-", " ")).split())


def clips(shared: Path) -> list[Clip]:
    """The short clips of read and spoken English."""
    return list(_manifest(shared / "data" / "speech", lambda entry: entry["kind"] == "speech"))


def digits(shared: Path) -> list[Clip]:
    """Recordings of three minutes of spoken digits."""
    return list(_manifest(shared / "data" / "digits", lambda _: True))


_SETS = {"clips": clips, "digits": digits}


def _manifest(folder: Path, wanted: Callable[[dict[str, Any]], bool]) -> Iterator[Clip]:
    for line in (folder / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if wanted(entry) and entry["transcript"]:
            yield Clip(folder / entry["file"], entry["transcript"])


def an_engine(selection: Selection, cache: Path) -> Hearer:
    """An engine as it is, without the service."""
    engine = named(selection.loader)(selection.model, {"cache": str(cache), "device": "cpu"})

    def hear(path: Path) -> Heard:
        samples = decode_all(path.read_bytes(), AudioFormat(), AudioLimits())
        start = time.perf_counter()
        text = engine.transcribe(samples, RecognitionOptions(), lambda: False).text
        return Heard(text, len(samples) / SAMPLE_RATE, time.perf_counter() - start)

    return hear


def bare_pocketsphinx() -> Hearer:
    """PocketSphinx as its own manual has it: a new decoder for each clip, the whole clip at once."""

    def hear(path: Path) -> Heard:
        samples = decode_all(path.read_bytes(), AudioFormat(), AudioLimits())
        start = time.perf_counter()
        decoder = pocketsphinx.Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        text = found.hypstr if found else ""
        return Heard(text, len(samples) / SAMPLE_RATE, time.perf_counter() - start)

    return hear


def a_service(target: str) -> Hearer:
    """A running service, whatever engine it has."""
    client = Client(target, timeout=600)

    def hear(path: Path) -> Heard:
        start = time.perf_counter()
        answer = client.recognize(path)
        return Heard(answer.text, answer.audio_duration, time.perf_counter() - start)

    return hear


_hearers: list[Hearer] = []  # the one of this process


def _load(make: Callable[[], Hearer]) -> None:
    _hearers.append(make())


def _hear(path: Path) -> Heard:
    return _hearers[0](path)


def heard_by(make: Callable[[], Hearer], recordings: list[Clip], jobs: int) -> list[tuple[Clip, Heard]]:
    """What a hearer makes of each recording, ``jobs`` processes at once with one hearer in each."""
    paths = [clip.path for clip in recordings]
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_load, initargs=(make,)) as pool:
        return list(zip(recordings, pool.map(_hear, paths), strict=True))


def scored(hearer: str, recordings: str, pairs: list[tuple[Clip, Heard]]) -> Score:
    """Errors of one hearer on one set."""
    result = jiwer.process_words(
        [normalised(clip.reference) for clip, _ in pairs], [normalised(heard.text) for _, heard in pairs]
    )
    return Score(
        hearer=hearer,
        recordings=recordings,
        clips=len(pairs),
        words=result.hits + result.substitutions + result.deletions,
        word_error_rate=round(result.wer, 4),
        substitutions=result.substitutions,
        deletions=result.deletions,
        insertions=result.insertions,
        audio_seconds_per_second=round(
            sum(heard.audio_seconds for _, heard in pairs) / sum(heard.seconds for _, heard in pairs), 2
        ),
    )


def scores(hearer: str, recordings: str, pairs: list[tuple[Clip, Heard]]) -> Iterator[Score]:
    """Errors over all, and for the clips apart by how sure their references are."""
    yield scored(hearer, recordings, pairs)
    unchecked = [pair for pair in pairs if pair[0].path.name.startswith(_UNCHECKED)]
    if unchecked:
        yield scored(hearer, f"{recordings}, checked", [pair for pair in pairs if pair not in unchecked])
        yield scored(hearer, f"{recordings}, speechocean762", unchecked)


def measured(arguments: argparse.Namespace) -> Iterator[Score]:
    """The scores of what was asked for, set by set; the bare decoder's where it can be compared."""
    name, make = _hearer(arguments)
    for kind in arguments.sets.split(","):
        recordings = _SETS[kind](arguments.shared)
        yield from scores(name, kind, heard_by(make, recordings, arguments.jobs))
        if kind == "clips":
            yield from scores(
                "bare pocketsphinx", kind, heard_by(bare_pocketsphinx, recordings, arguments.jobs)
            )


def _hearer(arguments: argparse.Namespace) -> tuple[str, Callable[[], Hearer]]:
    if arguments.target:
        return arguments.target, partial(a_service, arguments.target)
    chosen = select(arguments.engine, arguments.model, arguments.cache)
    return f"{chosen.engine} {Path(chosen.model).name}", partial(an_engine, chosen, arguments.cache)


def main() -> None:
    """Prints a table, or one JSON object a line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--engine", default="pocketsphinx", help="auto, whisper, faster-whisper, pocketsphinx"
    )
    parser.add_argument("--model", default="", help="name, file or folder")
    parser.add_argument("--target", default="", help="host:port of a running service, instead of an engine")
    parser.add_argument("--sets", default="clips", help="clips, digits, or both with a comma")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/")
    parser.add_argument("--cache", type=Path, default=cache_folder(os.environ.get("EARSHOT_CACHE", "")))
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    for score in measured(arguments):
        print(json.dumps(asdict(score)) if arguments.json else _line(score), flush=True)


def _line(score: Score) -> str:
    return (
        f"{score.hearer:32} {score.recordings:24} {score.clips:3} clips {score.words:5} words  "
        f"error rate {score.word_error_rate:.4f}  {score.audio_seconds_per_second:6.2f} audio s/s"
    )


if __name__ == "__main__":
    main()
