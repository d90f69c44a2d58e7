"""What must hold of processes that nobody hurts: none comes or goes, and none holds more and more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.drills.drill import Result
from tests.drills.slopes import Point, Slope, medians_of, slope_of
from tests.drills.watch import AUDIO, Look, Moment, Segment, Who

_STEEP: Final = 2.0  # MiB an hour, a process: some hundred bytes for each call that it has part in
_LINES: Final = 1024  # bytes of logs, a call


@dataclass(frozen=True)
class Rest:
    """What is held where nothing is to be done."""

    descriptors: dict[Who, int]
    threads: dict[Who, int]
    segments: dict[Who, set[Segment]]
    files: dict[Path, int]


def at_rest(moments: Sequence[Moment]) -> Rest:
    """The least that was held at any moment: a health check may be under way at one."""
    seen = _by_process(moments)
    return Rest(
        {who: min(look.descriptors for look in looks) for who, looks in seen.items()},
        {who: min(look.threads for look in looks) for who, looks in seen.items()},
        {who: set.intersection(*(set(look.segments) for look in looks)) for who, looks in seen.items()},
        {path: size for path, size in moments[-1].files.items() if all(path in one.files for one in moments)},
    )


def _by_process(moments: Iterable[Moment]) -> dict[Who, list[Look]]:
    seen: dict[Who, list[Look]] = defaultdict(list)
    for moment in moments:
        for who, look in moment.processes.items():
            seen[who].append(look)
    return seen


def _steady(moments: Sequence[Moment]) -> dict[Who, list[Look]]:
    """Those that were there all the time: of others there may be too few looks for a slope."""
    return {who: looks for who, looks in _by_process(moments).items() if len(looks) == len(moments)}


def judge_processes(before: Rest, moments: Sequence[Moment], after: Rest, result: Result) -> None:
    """Whoever comes has taken the place of one that died, or is left behind."""
    old = before.threads.keys()
    new = _by_process(moments).keys() | after.threads.keys()
    steady = _steady(moments).keys() & after.threads.keys()
    came, went = new - old, old - steady
    result.counts |= {"processes": len(old), "that came or went": len(came | went)}
    result.must(not came, f"came: {_names(came)}")
    result.must(not went, f"went: {_names(went)}")


def judge_memory(moments: Sequence[Moment], result: Result) -> None:
    """Of each process whether it grows for sure, beyond its noise."""
    slopes = {who: _slope(looks) for who, looks in _steady(moments).items()}
    for who, slope in slopes.items():
        result.must(slope.lowest <= _STEEP, f"{_name(who)} grows by {_told(slope)} MiB an hour")
    by_kind: dict[str, Slope] = {}
    for who, slope in slopes.items():
        by_kind[who.kind] = max(slope, by_kind.get(who.kind, slope), key=lambda each: each.most_likely)
    told = ", ".join(f"{kind} {_told(slope)}" for kind, slope in sorted(by_kind.items()))
    result.counts["MiB an hour, the steepest of each kind"] = told


def judge_rest(before: Rest, after: Rest, result: Result) -> None:
    """Between calls nothing may be held that was not held between calls before."""
    _judge_more("descriptors", before.descriptors, after.descriptors, result)
    _judge_more("threads", before.threads, after.threads, result)
    held = {who: _left(all_, before.segments.get(who, set())) for who, all_ in after.segments.items()}
    result.counts["pieces of shared memory left"] = sum(map(len, held.values()))
    for who, pieces in held.items():
        result.must(not pieces, f"{_name(who)} still holds {', '.join(sorted(one.name for one in pieces))}")
    left = after.files.keys() - before.files.keys()
    result.counts["files left"] = len(left)
    result.must(not left, f"left behind: {', '.join(map(str, sorted(left)[:5]))}")


def judge_logs(before: Rest, after: Rest, calls: int, result: Result) -> None:
    """What is written of a call is bounded."""
    grown = sum(size - before.files.get(path, 0) for path, size in after.files.items())
    result.counts["bytes of logs a call"] = round(grown / max(1, calls))
    result.must(grown <= _LINES * calls, f"files grew by {grown:,} bytes in {calls:,} calls")


def _judge_more(what: str, before: dict[Who, int], after: dict[Who, int], result: Result) -> None:
    more = {who: count - before.get(who, 0) for who, count in after.items()}
    result.counts[f"{what} more"] = sum(count for count in more.values() if count > 0)
    for who, count in more.items():
        result.must(count <= 0, f"{_name(who)} has {count} {what} more")


def _left(held: set[Segment], before: set[Segment]) -> set[Segment]:
    """Audio in any case; of others, such as the words by which work is cancelled, what is new."""
    return {one for one in held if one.name == AUDIO or one not in before}


def told(before: Rest, moments: Sequence[Moment], after: Rest) -> list[dict[str, Any]]:
    """All of each process: its memory in the order of time; of three numbers the first and the last are
    those at rest.
    """
    seen = _steady(moments)
    return [_all_of(who, before, seen[who], after) for who in sorted(before.threads) if who in seen]


def _all_of(who: Who, before: Rest, looks: Sequence[Look], after: Rest) -> dict[str, Any]:
    pieces = max(len(look.segments) for look in looks)
    return {
        "process": _name(who),
        "memory, MiB": [round(memory, 1) for _, memory in medians_of(_memory(looks))],
        "slope, MiB an hour": {name: round(value, 2) for name, value in asdict(_slope(looks)).items()},
        "descriptors": [
            before.descriptors[who],
            max(look.descriptors for look in looks),
            after.descriptors.get(who),
        ],
        "threads": [before.threads[who], max(look.threads for look in looks), after.threads.get(who)],
        "pieces of shared memory": [len(before.segments[who]), pieces, len(after.segments.get(who, ()))],
        "shared memory at most, MiB": round(max(sum(look.segments.values()) for look in looks) / 2**20, 1),
    }


def _slope(looks: Sequence[Look]) -> Slope:
    return slope_of(_memory(looks))


def _memory(looks: Sequence[Look]) -> list[Point]:
    """By hours."""
    return [(look.at / 3600, look.memory) for look in looks]


def _told(slope: Slope) -> str:
    return f"{slope.most_likely:.1f} ({slope.lowest:.1f} to {slope.highest:.1f})"


def _names(processes: Iterable[Who]) -> str:
    return ", ".join(map(_name, sorted(processes)))


def _name(who: Who) -> str:
    return f"{who.kind} {who.pid}"
