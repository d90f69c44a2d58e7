"""``earshot classify``: texts in, labels out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earshot.cli import batch, inputs, options, output

if TYPE_CHECKING:
    from earshot.client import AsyncClient, Classification, ClassifyOptions

COLUMNS: Final = ("text", "labels", "took", "engine", "replica")

app = typer.Typer(add_completion=False)


@app.command()
def classify(  # noqa: PLR0913, PLR0917 - a command line
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXT", help="Texts; - for the lines of standard input.")
    ],
    labels: options.Labels = "",
    label: options.MoreLabels = None,
    labels_file: options.LabelsFile = None,
    template: options.Template = "",
    multi_label: options.MultiLabel = False,
    top_k: options.TopK = None,
    threshold: options.Threshold = None,
    model: Annotated[str, typer.Option(show_default=False, help="Model; default: the service's own.")] = "",
    output_format: options.AnyOutput = None,
    as_json: options.Json = False,
    target: options.Target = "localhost:8080",
    timeout: options.Timeout = 60.0,
    concurrency: options.Concurrency = 4,
) -> None:
    """Say which labels fit each text best.

    The labels are any words: no model was trained on them.
    """
    choices = inputs.labels(labels, label, labels_file)
    wanted: ClassifyOptions = {
        "model": model,
        "template": template,
        "multi_label": multi_label,
        "top_k": top_k,
        "threshold": threshold,
    }
    form = output.chosen(output_format, as_json, options.Output)
    job = batch.Job(partial(_call, choices, wanted), _record, _name)
    service = batch.Service(target, timeout, concurrency)
    batch.run(job, inputs.texts(texts), service, output.sink(form, COLUMNS))


async def _call(labels: list[str], wanted: ClassifyOptions, client: AsyncClient, text: str) -> Classification:
    # Each text goes by itself: one that is refused stops no other.
    return await client.classify(text, labels, **wanted)


def _record(text: str, result: Classification) -> output.Record:
    took = output.seconds(result.latency.total)
    return output.Record(
        data={"input": text} | output.fields(result),
        cells=(text, output.scores(result, "\n"), took, result.engine, result.replica),
        text=f"{output.scores(result, ', ')}\t{text}",
    )


def _name(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
