"""Runs drills, says what each has come to, and ends with an error if one of them did not hold."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.drills import page, results
from tests.drills.cases import ALL
from tests.drills.drill import Drill, Form
from tests.drills.results import Row
from tests.drills.runner import done
from tests.drills.speech import SHARED

_SHORT = 480  # seconds for all of the short form; only said: it does not know how busy its machine is


# Elsewhere what cannot be done says so; where all has been installed it is a failure.
MUST_BE_DONE = bool(os.environ.get("CI"))


async def _all(wanted: Sequence[Drill], form: Form) -> list[Row]:
    rows: dict[str, Row] = {}
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # nothing is left behind
    published = {drill.name for drill in wanted if form.is_of_a_release(drill)}
    async for row in done(wanted, form):
        rows[row.name] = row
        print(row.line, flush=True)
        if row.name in published:
            _keep(row)
        elif not form.short:
            print(f"{row.name} is not kept: for a release it takes {Form.minutes:g} minutes", flush=True)
    return list(rows.values())


def _keep(row: Row) -> None:
    """At once: those that follow may be broken off."""
    results.save([row])
    page.write()


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a part of them, in minutes; nothing is saved")
    parser.add_argument("--cluster", action="store_true", help="those of the cluster that KUBECONFIG names")
    parser.add_argument("--only", action="append", metavar="NAME", help="repeatable; --list has the names")
    parser.add_argument(
        "--minutes",
        type=float,
        default=Form.minutes,
        help="how long the soak takes; saved only where that is %(default)g, as for a release",
    )
    parser.add_argument(
        "--broken", type=Path, metavar="FILE", help="gets the names of those that did not hold"
    )
    parser.add_argument("--list", action="store_true", help="name them, and do none")
    parser.add_argument("--page", action="store_true", help="make docs/reliability.md anew, and do none")
    return parser.parse_args()


def _wanted(chosen: argparse.Namespace) -> list[Drill]:
    here = [one for one in ALL if one.cluster == chosen.cluster]
    if unknown := set(chosen.only or ()) - {one.name for one in here}:
        sys.exit(f"no drill {', '.join(sorted(unknown))}: --list names them")
    if chosen.only:
        return [one for one in here if one.name in chosen.only]
    wanted = [one for one in here if one.short or not chosen.short]
    if not wanted:  # nothing that is done would be nothing that fails
        where = "a cluster" if chosen.cluster else "this machine"
        sys.exit(f"no drill of {where} has a short form: leave out --short, or name some by --only")
    return wanted


def main() -> None:
    """The command."""
    chosen = _parsed()
    if chosen.page:
        page.write()
        return
    wanted = _wanted(chosen)
    if chosen.list:
        print("\n".join(f"{one.name:20} {one.title}" for one in wanted))
    else:
        _run(wanted, Form(chosen.short, chosen.minutes), chosen.broken)


def _run(wanted: Sequence[Drill], form: Form, names: Path | None) -> None:
    if not SHARED.is_dir():
        sys.exit(f"no test data at {SHARED}: set EARSHOT_SHARED to the folder with data/ and models/")
    begun = time.monotonic()
    rows = asyncio.run(_all(wanted, form))
    print(_total(rows, time.monotonic() - begun, form))
    failed = [row.name for row in rows if row.broken or (row.skipped and MUST_BE_DONE)]
    if names:
        names.write_text("".join(f"{name}\n" for name in failed), encoding="utf-8")
    if failed:
        sys.exit(f"did not hold: {', '.join(failed)}")


def _total(rows: Iterable[Row], seconds: float, form: Form) -> str:
    """How many came to what, and how long that took, scenes included."""
    states = Counter(row.state for row in rows)
    counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
    meant = f" of {_SHORT} that the short form may take" if form.short else ""
    return f"drills: {counted}; {seconds:.0f} s in all{meant}"


if __name__ == "__main__":
    main()
