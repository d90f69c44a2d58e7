"""torch and transformers as an engine process wants them: lean, quiet, on so many threads.

transformers imports what is optional to it and never used here: 105 of 510 MB resident. Engines take it
from here, so that whoever comes first imports it without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def _without(*modules: str) -> Iterator[None]:
    """While it lasts, importing any of ``modules`` fails as if they were not installed.

    ``None`` in ``sys.modules`` is the import system's own way to say so. Does nothing once
    transformers is there: it has looked already, and would rely on them.
    """
    hidden = [] if "transformers" in sys.modules else [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


with _without("scipy", "sklearn", "triton"):
    from transformers import (
        AutoModel,
        AutoModelForSequenceClassification,
        AutoTokenizer,
        PreTrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
        modeling_utils,  # imports the rest now, and not later without our leave
    )
    from transformers.utils import logging

__all__ = [
    "AutoModel",
    "AutoModelForSequenceClassification",
    "AutoTokenizer",
    "PreTrainedConfig",
    "PreTrainedModel",
    "PreTrainedTokenizerBase",
    "modeling_utils",
    "set_up",
]


def set_up(threads: int) -> None:
    """Of this process: ``threads`` for torch, and no reports or progress bars in the service's log."""
    torch.set_num_threads(threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
