"""Networks in ONNX Runtime: no torch in the process, and a tenth of its memory.

A folder holds ``model.onnx``, ``tokenizer.json`` and ``traits.json``, with their checksums in ``SHA256SUMS``;
:mod:`earshot.classification.engines.export` writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import onnxruntime  # type: ignore[import-untyped]
from tokenizers import Tokenizer

from earshot import errors
from earshot.classification.engines.network import Fields, Floats, Model, Traits
from earshot.weights import checksums

MODEL: Final = "model.onnx"
TOKENIZER: Final = "tokenizer.json"
TRAITS: Final = "traits.json"
OUTPUT: Final = "output"
_ERRORS_ONLY: Final = 3


class OnnxNetwork:
    """A :class:`earshot.classification.engines.network.Network`."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # Threads that spin while they wait would take a core from the others on it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, fields: Fields) -> Floats:
        output: Floats = self._session.run([OUTPUT], fields)[0]
        return output


def load(folder: Path, threads: int) -> Model:
    """The model in ``folder``. Raises :class:`errors.FailedPreconditionError` where it is not whole."""
    sums = folder / checksums.SUMS
    if not sums.is_file() or sums.read_text() != checksums.listing(folder):
        raise errors.FailedPreconditionError(
            f"{folder} is damaged: remove it, and it is made again", reason="CHECKSUM_MISMATCH", field="model"
        )
    return read(folder, threads)


def read(folder: Path, threads: int) -> Model:
    """The model in ``folder``, unchecked."""
    noted: dict[str, Any] = json.loads((folder / TRAITS).read_text())
    precision = noted.pop("precision")
    traits = Traits(**{**noted, "inputs": tuple(noted["inputs"])})
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    return Model(tokenizer, OnnxNetwork(folder / MODEL, threads), traits, f"ONNX Runtime, {precision}")
