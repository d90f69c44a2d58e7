"""Checkpoints in openai-whisper's own format, loaded onto a device."""

from __future__ import annotations

import pickle

import whisper

from earshot import errors
from earshot.weights import Located


def load(weights: Located, device: str) -> whisper.Whisper:
    """The model of a checkpoint file, on "cpu", "cuda" or "cuda:1". Runs no code out of the file.

    Raises :class:`errors.FailedPreconditionError` where the file is none.
    """
    try:
        model = whisper.load_model(str(weights.path), device=device)
    except (
        OSError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
        pickle.UnpicklingError,
    ) as exc:
        raise errors.FailedPreconditionError(
            f"{weights.path} is no openai-whisper checkpoint ({type(exc).__name__}): give the .pt file that "
            "openai-whisper publishes or saves",
            reason="MODEL_NOT_READABLE",
            field="model",
        ) from exc
    _point_out_alignment(model, weights.checksum)
    return model


def _point_out_alignment(model: whisper.Whisper, checksum: str) -> None:
    """Word offsets of a published model come from the heads that upstream chose for it."""
    for name, url in whisper._MODELS.items():  # noqa: SLF001 - upstream sets them only as it downloads
        if url.split("/")[-2] == checksum.removeprefix("sha256:"):
            model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name])  # noqa: SLF001
            return
