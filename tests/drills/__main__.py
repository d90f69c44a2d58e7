"""Runs drills, says what each has come to, and ends with an error if one of them did not hold."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from tests.drills import page, results
from tests.drills.cases import ALL
from tests.drills.drill import CannotError, Drill, Form, Result
from tests.drills.results import Row
from tests.drills.speech import SHARED

_PATIENCE = 180.0  # seconds that a drill of the short form may take; nothing here is a measurement


async def done(wanted: Sequence[Drill], form: Form) -> AsyncIterator[Row]:
    """A row for each drill, as it ends."""
    for scene, drills in itertools.groupby(wanted, lambda drill: drill.scene):
        async with AsyncExitStack() as stack:
            rest = list(drills)
            try:
                made = await stack.enter_async_context(scene(form))
            except CannotError as exc:
                for drill in rest:
                    yield Row.of(drill, Result(), 0.0, skipped=str(exc))
                continue
            except Exception as exc:  # the other scenes are still worth making
                for drill in rest:
                    yield Row.of(drill, Result(broken=[f"{type(exc).__name__}: {exc}"]), 0.0)
                continue
            for drill in rest:
                yield await _done(drill, made, form)


async def _done(drill: Drill, made: object, form: Form) -> Row:
    started = time.monotonic()
    skipped = ""
    try:
        async with asyncio.timeout(_PATIENCE if form.short else None):
            result = await drill.run(made, form)
    except CannotError as exc:
        result, skipped = Result(), str(exc)
    except Exception as exc:  # the other drills are still worth doing
        result = Result(broken=[f"{type(exc).__name__}: {exc}"])
    return Row.of(drill, result, time.monotonic() - started, skipped)


async def _all(wanted: Sequence[Drill], form: Form) -> list[Row]:
    rows: list[Row] = []
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # nothing is left behind
    async for row in done(wanted, form):
        rows.append(row)
        print(row.line, flush=True)
    return rows


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a part of them, in minutes; nothing is saved")
    parser.add_argument("--cluster", action="store_true", help="those of the cluster that KUBECONFIG names")
    parser.add_argument("--only", action="append", metavar="NAME", help="repeatable; --list has the names")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the soak takes")
    parser.add_argument("--list", action="store_true", help="name them, and do none")
    parser.add_argument("--page", action="store_true", help="make docs/reliability.md anew, and do none")
    return parser.parse_args()


def _wanted(chosen: argparse.Namespace) -> list[Drill]:
    here = [one for one in ALL if one.cluster == chosen.cluster]
    if unknown := set(chosen.only or ()) - {one.name for one in here}:
        sys.exit(f"no drill {', '.join(sorted(unknown))}: --list names them")
    if chosen.only:
        return [one for one in here if one.name in chosen.only]
    return [one for one in here if one.short or not chosen.short]


def main() -> None:
    """The command."""
    chosen = _parsed()
    wanted = _wanted(chosen)
    if chosen.list:
        print("\n".join(f"{one.name:20} {one.title}" for one in wanted))
    elif chosen.page:
        page.write()
    else:
        _run(wanted, Form(chosen.short, chosen.minutes))


def _run(wanted: Sequence[Drill], form: Form) -> None:
    if not SHARED.is_dir():
        sys.exit(f"no test data at {SHARED}: set EARSHOT_SHARED to the folder with data/ and models/")
    rows = asyncio.run(_all(wanted, form))
    if not form.short:
        results.save(rows)
        page.write()
    if failed := [row.name for row in rows if row.broken]:
        sys.exit(f"did not hold: {', '.join(failed)}")


if __name__ == "__main__":
    main()
