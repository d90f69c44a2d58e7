"""What calls and streams have come to while something befell the cluster, and what must hold."""

from __future__ import annotations

from tests.cluster.kube import until
from tests.cluster.traffic import Call, Traffic
from tests.drills.cluster.stage import Fault, Stage, calling
from tests.drills.drill import Result
from tests.drills.speech import difference


def drilled(stage: Stage, fault: Fault) -> Result:
    """The load, the fault beside it, and what has come of them."""
    result = Result()
    with calling(stage) as callers:
        undisturbed = _streams(callers)[0].said.split()
        result.counts |= fault(stage)
    calls = [call for caller in callers for call in caller.calls]
    _judge_calls(stage, [call for call in calls if call.kind != "stream"], result)
    _judge_streams(undisturbed, _streams(callers), result)
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
    return not call.error and (" " in call.replica or (call.kind == "digits" and call.said != said))


def _streams(callers: list[Traffic]) -> list[Call]:
    return [call for caller in callers for call in caller.calls if call.kind == "stream"]


def _judge_streams(undisturbed: list[str], streams: list[Call], result: Result) -> None:
    """Held against one of the same audio that was over before anything was broken."""
    heard = [call.said.split() for call in streams if not call.error]
    complete, found = len(heard), difference([undisturbed] * len(heard), heard)
    result.counts |= {
        "streams": len(streams),
        "complete": complete,
        "breaks": sum(call.breaks for call in streams),
        "digits": len(undisturbed) * complete,
        "lost": found.lost,
        "doubled": found.doubled,
        "changed": found.changed,
    }
    result.must(complete == len(streams), f"{len(streams) - complete} streams did not end")
    result.must(not found.lost and not found.doubled, f"{found.lost} digits lost, {found.doubled} doubled")


def _pauses(caller: Traffic) -> list[str]:
    return [said for said in caller.failed() if said.startswith("no call")]


def _judge_rest(stage: Stage, result: Result) -> None:
    """Nothing may be at work once all calls have ended."""
    try:
        until(lambda: not stage.at_work(), 60, "nothing is at work any more")
    except TimeoutError:
        result.broken.append(f"{stage.at_work():.0f} requests are stuck in the services")
