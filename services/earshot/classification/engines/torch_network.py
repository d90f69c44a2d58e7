"""Networks in torch, as transformers reads them: what is exported, the reference, and the way out where a
model cannot be exported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from earshot.classification.engines.checkpoints import loading, read
from earshot.classification.engines.lean import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_up,
)
from earshot.classification.engines.network import Fields, Floats, Model, Traits
from earshot.errors import FailedPreconditionError
from earshot.runtime.devices import resolved
from earshot.weights import Kind

_ENCODER_WINDOW: Final = 256  # tokens; of sentence encoders that do not say what they were trained on
_NLI_WINDOW: Final = 512  # of others
_UNSAID: Final = 1_000_000  # tokenizers that do not say have a window of 1e30
_GPU_TOKENS: Final = 16_384  # padded, in a batch: a GPU is idle with fewer
_TAKEN: Final = ("input_ids", "token_type_ids", "attention_mask")
_MODULES: Final = {"Transformer", "Pooling", "Normalize"}  # of sentence-transformers
_POOLINGS: Final = ("mean", "cls")
_WHAT: Final = {Kind.EMBEDDING: "a sentence encoder", Kind.NLI: "an NLI checkpoint"}


class Traceable(torch.nn.Module):  # type: ignore[misc] # torch is not typed for us
    """A model as a function of tensors to one tensor."""

    def __init__(self, model: PreTrainedModel, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        """Values in the order of ``inputs``, [rows, tokens] each."""
        return self.model(**dict(zip(self.inputs, values, strict=True)))[0]


class TorchNetwork:
    """A :class:`earshot.classification.engines.network.Network`."""

    def __init__(self, module: Traceable, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self.module = module.to(self._device)

    def __call__(self, fields: Fields) -> Floats:
        """See the protocol."""
        with torch.inference_mode():
            output = self.module(*(self._placed(fields[name]) for name in self.module.inputs))
        numbers: Floats = output.float().cpu().numpy()
        return numbers

    def _placed(self, values: NDArray[np.int64]) -> torch.Tensor:
        tensor = torch.from_numpy(values)
        if self._device.type == "cpu":
            return tensor
        # From pinned memory a GPU copies by itself, and this thread goes on to the next field.
        return tensor.pin_memory().to(self._device, non_blocking=True)


def load(kind: Kind, folder: Path, threads: int = 1, device: str = "cpu") -> Model:
    """The model in a folder as transformers and sentence-transformers write it.

    Raises :class:`FailedPreconditionError` for a folder that holds none of that kind, and for a device that
    is not there.
    """
    set_up(threads)
    device = resolved(device, torch.cuda.device_count(), "torch")
    with loading(folder, _WHAT[kind]):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # Decoder-only checkpoints may come without; the pipeline has the last token stand in.
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        if kind == Kind.EMBEDDING:
            _check_modules(folder)
        network = _network(kind, folder)
        traits = _traits(kind, folder, tokenizer, network.config)
        return Model(
            _backend(tokenizer),
            TorchNetwork(Traceable(network, traits.inputs).eval(), device),
            traits,
            "torch, float32" if device == "cpu" else f"torch, float32, on {device}",
            batch_tokens=0 if device == "cpu" else _GPU_TOKENS,
        )


def _network(kind: Kind, folder: Path) -> PreTrainedModel:
    auto = AutoModel if kind == Kind.EMBEDDING else AutoModelForSequenceClassification
    network = auto.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32, attn_implementation="eager"
    )
    network.config.use_cache = False  # there is no next token
    return network.eval()


def _backend(tokenizer: PreTrainedTokenizerBase) -> Any:  # noqa: ANN401 - tokenizers has no types
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise FailedPreconditionError(
            "the model's tokenizer has no fast form: choose another", reason="MODEL_UNREADABLE", field="model"
        )
    backend.no_padding()
    return backend


def _traits(kind: Kind, folder: Path, tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> Traits:
    encoder = kind == Kind.EMBEDDING
    return Traits(
        inputs=tuple(name for name in _TAKEN if name in tokenizer.model_input_names),
        window=_encoder_window(folder, tokenizer) if encoder else _nli_window(tokenizer, config),
        size=config.hidden_size if encoder else config.num_labels,
        pad_token=tokenizer.pad_token_id if encoder else config.pad_token_id,
        end_token=config.eos_token_id if isinstance(config.eos_token_id, int) else None,
        pooling=_pooling(folder) if encoder else "",
        label2id={} if encoder else dict(config.label2id),
    )


def _check_modules(folder: Path) -> None:
    """What sentence-transformers would apply; a step left out would give other vectors, in silence."""
    steps = {str(module["type"]).rpartition(".")[2] for module in read(folder / "modules.json", [])}
    if not steps <= _MODULES:
        raise FailedPreconditionError(
            f"the sentence encoder needs {', '.join(sorted(steps - _MODULES))}, which is not supported:"
            " choose another",
            reason="MODEL_UNREADABLE",
            field="model",
        )


def _pooling(folder: Path) -> str:
    """How the model was trained to be pooled, by sentence-transformers' own files; mean if unsaid."""
    config = read(folder / "1_Pooling" / "config.json", {})
    marked = [key for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    wanted = config.get("pooling_mode") or ",".join(
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token") for key in marked
    )
    pooling = str(wanted or "mean")
    if pooling not in _POOLINGS:
        raise FailedPreconditionError(
            f"the sentence encoder is pooled by {pooling!r}; known are {', '.join(_POOLINGS)}:"
            " choose another",
            reason="MODEL_UNREADABLE",
            field="model",
        )
    return pooling


def _encoder_window(folder: Path, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens the model was trained on."""
    trained = read(folder / "sentence_bert_config.json", {}).get("max_seq_length") or _ENCODER_WINDOW
    return int(min(trained, tokenizer.model_max_length))


def _nli_window(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> int:
    """How many tokens fit.

    Where the tokenizer does not say, the model's positions do, less two: RoBERTa's begin after its
    padding token. The pipeline would not cut there, and go on into positions that do not exist, or
    for as long as the text is.
    """
    if tokenizer.model_max_length < _UNSAID:
        return int(tokenizer.model_max_length)
    return int(getattr(config, "max_position_embeddings", _NLI_WINDOW)) - 2
