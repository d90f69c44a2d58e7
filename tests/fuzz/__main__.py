"""``python -m tests.fuzz TARGET|everything [OPTION...]``: under libFuzzer, with options of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["earshot"]):
    from tests.fuzz.targets import TARGETS, everything

CORPUS = Path(__file__).with_name("corpus")
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=8192")  # of an input; an option of the caller's wins


def kept(name: str) -> list[str]:
    """The folder of inputs of a target."""
    return [str(CORPUS / name)] if (CORPUS / name).is_dir() else []


def main() -> None:
    """New inputs go to a folder of the caller's, where one is given; those that are kept are read."""
    name, *options = sys.argv[1:]
    folders = [option for option in options if not option.startswith("-")]
    flags = [option for option in options if option.startswith("-")]
    arguments = [sys.argv[0], *LIMITS, *flags, *folders, *kept(name)]
    atheris.Setup(arguments, everything if name == "everything" else TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
