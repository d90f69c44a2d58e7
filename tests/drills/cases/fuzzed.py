"""Bytes from outside, made by a fuzzer that sees which lines they reach."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from tests.drills.counted import ended, folder
from tests.drills.drill import Drill, Form, Result

TARGETS: Final = sorted(path.name for path in (Path(__file__).parents[2] / "fuzz" / "corpus").iterdir())
_SECONDS: Final = 120  # for each target
_PROGRAM: Final = ("-W", "ignore", "-m", "tests.fuzz")
_FINDS: Final = Path(gettempdir()) / "earshot-fuzz"  # that of `make fuzz`
_INPUTS: Final = re.compile(r"^Done (\d+) runs", re.MULTILINE)
_REACHED: Final = re.compile(r"\bcov: (\d+)")
_LINES: Final = 12  # of what it says when it finds something: they name the fault and the file


async def _run(where: Path, _form: Form) -> Result:
    result = Result()
    for target in TARGETS:
        await fuzzed(target, where, _SECONDS, result)
    return result


async def fuzzed(
    target: str, where: Path, seconds: int, result: Result, program: Sequence[str] = _PROGRAM
) -> None:
    """For so long, from the inputs that are kept; new ones go to a folder in ``where``."""
    made = where / target
    made.mkdir()
    _FINDS.mkdir(exist_ok=True)
    options = (f"-max_total_time={seconds}", f"-artifact_prefix={_FINDS}/{target}-", str(made))
    code, raised, told = await ended((sys.executable, *program, target, *options))
    said = told.decode(errors="replace")
    inputs, reached = _INPUTS.search(said), _REACHED.findall(said)
    last = " ".join([*raised.decode(errors="replace").splitlines()[-_LINES:], *said.splitlines()[-_LINES:]])
    result.must(code == 0 and inputs and reached, f"{target}: code {code} {last}")
    if inputs and reached:
        result.counts |= {f"of {target}": int(inputs[1]), f"branches reached by {target}": int(reached[-1])}


DRILL = Drill(
    "fuzzed",
    f"bytes from outside, made by a fuzzer that sees what they reach, {_SECONDS} s for each of "
    f"{', '.join(TARGETS)}",
    "no crash, no exception but the errors that are meant, none takes 10 s or 2 GiB",
    folder,
    _run,
    short=False,
    limit=3600.0,
)
