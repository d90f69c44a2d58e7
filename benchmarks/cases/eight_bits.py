"""Labels of the embedded model in eight bits beside those of the same checkpoint in torch, in 32."""

from __future__ import annotations

from benchmarks import data
from benchmarks.harness import Ratio, Report, Scale, Table
from benchmarks.zero_shot_accuracy import agreement, choices, loaded, read
from earshot.classification.engines.checkpoints import EMBEDDING_ENGINE

_COLUMNS = ("set", "texts", "labels", "right, 8 bits", "right, 32 bits", "the same label")


def measure(scale: Scale) -> Report:
    """All public texts once: it is the same each time, whatever else the machine does."""
    name, small, full = loaded(EMBEDDING_ENGINE, "")
    sets = read(data.folder("text"))[: scale.of(None, 1)]
    rows: list[tuple[str | float, ...]] = []
    kept: list[bool] = []
    for one in sets:
        found, exact = choices(one, small), choices(one, full)
        shares = agreement(found, one.answers), agreement(exact, one.answers), agreement(found, exact)
        rows.append((one.name, len(one.texts), len(one.labels), *shares))
        kept += [label == other for label, other in zip(found, exact, strict=True)]
    of_sets = [float(row[-1]) for row in rows]
    together = sum(kept) / len(kept)
    return Report(
        "Labels in eight bits",
        f"{len(kept):,} texts of public sets; {name} against the same checkpoint in torch.",
        ratios=[Ratio("same label as in 32 bits", together, min(of_sets), max(of_sets), ">= 0.98")],
        tables=[Table("Set by set", _COLUMNS, tuple(rows))],
    )
