"""What calls and streams have come to while something befell the cluster, and what must hold."""

from __future__ import annotations

from collections.abc import Iterable

from tests.cluster.kube import until
from tests.cluster.traffic import Call, Traffic
from tests.drills.cluster.stage import Fault, Stage, calling

Counts = dict[str, int | float | str]


def drilled(stage: Stage, fault: Fault) -> tuple[Counts, list[str]]:
    """The load, and the fault beside it: what is counted, and what did not hold."""
    with calling(stage) as callers:
        done = fault(stage)
    calls = [call for caller in callers for call in caller.calls]
    counts, broken = _judged(stage, calls)
    broken += [f"{count} (caller {n})" for n, one in enumerate(callers) for count in _pauses(one)]
    stuck = _stuck(stage)
    return {**done, **counts}, broken + stuck


def _pauses(caller: Traffic) -> list[str]:
    return [said for said in caller.failed() if said.startswith("no call")]


def _judged(stage: Stage, calls: list[Call]) -> tuple[Counts, list[str]]:
    streams = [call for call in calls if call.kind == "stream"]
    unary = [call for call in calls if call.kind != "stream"]
    found = stage.speech.difference(calls, "stream")
    counts: Counts = {
        "calls": len(unary),
        "failed": sum(bool(call.error) for call in unary),
        "wrong": sum(_is_wrong(stage, call) for call in unary),
        "s the slowest": max(call.ended - call.at for call in unary),
        "streams": len(streams),
        "complete": sum(not call.error for call in streams),
        "breaks": sum(call.breaks for call in streams),
        "digits": len(stage.speech.words["stream"]) * len(streams),
        "lost": found.lost,
        "doubled": found.doubled,
        "changed": found.changed,
    }
    must_not = ("failed", "wrong", "lost", "doubled")
    broken = [f"{counts[what]} {what}" for what in must_not if counts[what]]
    if counts["complete"] != len(streams):
        broken.append(f"{len(streams) - int(counts['complete'])} streams did not end")
    return counts, broken + sorted({call.error for call in calls if call.error})


def _is_wrong(stage: Stage, call: Call) -> bool:
    """A label that is not right, or words that were not said."""
    said = " ".join(stage.speech.words["digits"])
    return not call.error and (" " in call.replica or (call.kind == "digits" and call.said != said))


def _stuck(stage: Stage) -> list[str]:
    """What is still at work though all calls have ended."""
    try:
        until(lambda: stage.at_work() == 0, 60, "nothing is at work any more")
    except TimeoutError:
        return [f"{stage.at_work():.0f} requests are stuck in the services"]
    return []


def verdict(counts: Counts, broken: Iterable[str]) -> str:
    """A line for who watches."""
    said = ", ".join(f"{value:.1f} {what}" if isinstance(value, float) else f"{value} {what}" for what, value in counts.items())
    return f"{'DID NOT HOLD: ' + '; '.join(broken) if broken else 'held'} | {said}"
