"""What calls and streams have come to while something befell the cluster, and what must hold."""

from __future__ import annotations

import contextlib
from typing import Final

from tests.cluster.kube import until
from tests.cluster.traffic import STREAMS, Call, Traffic
from tests.drills.cluster.stage import Fault, Stage, calling
from tests.drills.drill import Result
from tests.drills.speech import difference

_CLIPS: Final = ("digits", "asked")  # what is said in them is known
_MISHEARD: Final = 0.1  # of the words: what the model may hear otherwise than it was spoken


def drilled(stage: Stage, fault: Fault, *, breaks: bool) -> Result:
    """The load, the fault beside it, and what has come of them. ``breaks``: it must have met streams."""
    result = Result()
    with calling(stage) as callers:
        undisturbed = _undisturbed(stage, callers)
        fault(stage, result)
    calls = [call for caller in callers for call in caller.calls]
    _judge_calls(stage, [call for call in calls if call.kind not in STREAMS], result)
    _judge_streams(undisturbed, _streams(callers), result)
    result.must(not breaks or result.counts["breaks"], "no stream broke: the fault has met none")
    result.broken += sorted({call.error for call in calls if call.error})
    result.broken += [said for caller in callers for said in _pauses(caller)]
    _judge_rest(stage, result)
    return result


def _judge_calls(stage: Stage, calls: list[Call], result: Result) -> None:
    failed = sum(bool(call.error) for call in calls)
    wrong = sum(_is_wrong(stage, call) for call in calls)
    slowest = max(call.ended - call.at for call in calls)
    result.counts |= {"calls": len(calls), "failed": failed, "wrong": wrong, "s the slowest": slowest}
    result.must(not failed, f"{failed} calls failed")
    result.must(not wrong, f"{wrong} answers were wrong")


def _is_wrong(stage: Stage, call: Call) -> bool:
    """A label that is not right, or words that were not said."""
    said = " ".join(stage.speech.words["digits"])
    return not call.error and (" " in call.replica or (call.kind in _CLIPS and call.said != said))


def _undisturbed(stage: Stage, callers: list[Traffic]) -> list[str]:
    """The words of a stream that was over before anything was broken. Raises RuntimeError where it is no good
    to hold others against.
    """
    heard, spoken = _streams(callers)[0].said.split(), stage.speech.words["stream"]
    found = difference([spoken], [heard])
    if found.lost + found.doubled + found.changed > _MISHEARD * len(spoken):
        raise RuntimeError(f"with nothing broken {' '.join(heard)!r} was heard for {' '.join(spoken)!r}")
    return heard


def _streams(callers: list[Traffic]) -> list[Call]:
    return [call for caller in callers for call in caller.calls if call.kind in STREAMS]


def _judge_streams(undisturbed: list[str], streams: list[Call], result: Result) -> None:
    """Held against the same audio undisturbed: an engine says the same of the same stretch of it, also after
    a break (docs/streaming.md), so that there must be no word that is not the same.
    """
    heard = [call.said.split() for call in streams if not call.error]
    complete = len(heard)
    result.counts |= {
        "streams": len(streams),
        "complete": complete,
        "breaks": sum(call.breaks for call in streams),
        "digits": sum(map(len, heard)),
    }
    result.must(complete == len(streams), f"{len(streams) - complete} streams did not end")
    difference([undisturbed] * complete, heard).judge(result, "digits")


def _pauses(caller: Traffic) -> list[str]:
    return [said for said in caller.failed() if said.startswith("no call")]


def _judge_rest(stage: Stage, result: Result) -> None:
    """Nothing may be at work once all calls have ended, neither in the services nor in Envoy."""
    left: dict[str, float] = {}

    def idle() -> bool:
        left.update(stage.at_work())
        return not any(left.values())

    with contextlib.suppress(TimeoutError):
        until(idle, 60, "nothing is at work any more")
    result.counts["still at work after"] = round(sum(left.values()))
    for component, count in left.items():
        result.must(not count, f"{count:.0f} requests are stuck in {component}")
