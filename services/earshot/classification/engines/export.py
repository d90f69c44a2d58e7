"""Makes what ONNX Runtime serves out of a checkpoint, and checks it against the checkpoint in torch.

``python -m earshot.classification.engines.export`` makes the embedded model's, into the installation;
``... export KIND FOLDER TARGET`` any other's. Needs torch, transformers and onnx, and leaves them behind.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, cast

import torch

from earshot import errors, weights
from earshot.classification.engines import embedding, nli, onnx_network, quantization, torch_network
from earshot.classification.engines.network import Model
from earshot.classification.engines.prepared import INSTALLED, NOT_EXPORTED
from earshot.classification.engines.specimens import LABELS, TEXTS
from earshot.classification.engines.torch_network import TorchNetwork
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Engine, ModelInfo
from earshot.weights import Kind, checksums

_OPSET: Final = 17
_LEAST: Final = 0.98  # of the texts must keep their label
_TIE: Final = 0.01  # labels whose scores are nearer than that are equally good
Scores = list[tuple[float, ...]]

_INFO: Final = ModelInfo("", "", (), ())


@dataclass(frozen=True, slots=True)
class Way:
    """How a kind of model is made smaller, and what is built around it."""

    quantize: Callable[[Path, Path], None]
    precision: str
    engine: Callable[[Model], Engine]
    labels: tuple[str, ...]


# A sentence encoder's vectors are compared with each other, and must be exact; its texts are short, and go
# through one by one, where blocks cost least. Pairs go through in large batches, where they cost most.
WAYS: Final = {
    Kind.EMBEDDING: Way(
        quantization.blocked, "int8 in blocks", lambda model: embedding.build(model, _INFO, 100), LABELS
    ),
    Kind.NLI: Way(quantization.per_token, "int8 by token", lambda model: nli.build(model, _INFO), LABELS[:4]),
}


def export(kind: Kind, folder: Path, target: Path) -> None:
    """Writes ``target``: in eight bits where the labels stay the same, else in 32.

    Raises :class:`errors.FailedPreconditionError` where the network in ONNX is not what it is in torch, or
    ``folder`` holds none, and what torch raises where it cannot write it.
    """
    way, reference = WAYS[kind], torch_network.load(kind, folder)
    expected = _scores(way, reference)
    target.mkdir(parents=True)
    full = target / "full.onnx"
    trace(reference, full)
    way.quantize(full, target / onnx_network.MODEL)
    if _same(way, _described(reference, target, way.precision), expected) < _LEAST:
        full.replace(target / onnx_network.MODEL)
        if _same(way, _described(reference, target, "float32"), expected) < _LEAST:
            raise errors.FailedPreconditionError(
                "in ONNX the model chooses other labels", reason=NOT_EXPORTED, field="model"
            )
    full.unlink(missing_ok=True)
    (target / checksums.SUMS).write_text(checksums.listing(target))


def trace(reference: Model, path: Path) -> None:
    """Writes the network, in 32 bits; it then takes any number of rows and tokens."""
    inputs = reference.traits.inputs
    axes = {name: {0: "rows", 1: "tokens"} for name in inputs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants that it traced: what comes of them is checked
        torch.onnx.export(
            cast("TorchNetwork", reference.network).module,
            _example(reference),
            str(path),
            input_names=list(inputs),
            output_names=[onnx_network.OUTPUT],
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )


def _example(reference: Model) -> tuple[torch.Tensor, ...]:
    """Rows of two lengths, as some networks look for special tokens; one where none may be padded."""
    rows = [reference.tokenizer.encode(text) for text in sorted(TEXTS, key=len)[:: len(TEXTS) - 1]]
    rows = rows[-1:] if reference.traits.pad_token is None else rows
    fields = reference.fields(rows)
    return tuple(torch.from_numpy(fields[name]) for name in reference.traits.inputs)


def _described(reference: Model, target: Path, precision: str) -> Model:
    """The model in ``target``, with what stands beside its network written first."""
    reference.tokenizer.no_truncation()
    reference.tokenizer.save(str(target / onnx_network.TOKENIZER))
    traits = asdict(reference.traits) | {"precision": precision}
    (target / onnx_network.TRAITS).write_text(json.dumps(traits))
    return onnx_network.read(target, threads=1)


def _same(way: Way, model: Model, expected: Scores) -> float:
    """The share of the specimens that keep their label, or take one that torch scores as high."""
    found = _scores(way, model)
    chosen = [
        one[max(range(len(other)), key=other.__getitem__)] for one, other in zip(expected, found, strict=True)
    ]
    return sum(max(one) - score <= _TIE for one, score in zip(expected, chosen, strict=True)) / len(expected)


def _scores(way: Way, model: Model) -> Scores:
    options = ClassificationOptions(way.labels)
    requests = [ClassificationRequest(text, options) for text in TEXTS]
    return way.engine(model).classify(requests, lambda: False)


def main() -> None:
    """Ends with a line that says what is wrong."""
    torch.set_num_threads(1)
    try:
        if len(sys.argv) > 1:
            export(Kind(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
        else:
            source, _ = embedding.embedded()
            weights.place(source.place(INSTALLED), lambda draft: export(source.kind, source.folder, draft))
    except errors.EarshotError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
