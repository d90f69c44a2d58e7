"""``earshot classify-speech``: speech in, words and labels out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earshot.cli import batch, inputs, options, output

if TYPE_CHECKING:
    from earshot.client import AsyncClient, ClassifySpeechOptions, SpeechClassification

COLUMNS: Final = ("input", "words heard", "labels", "took", "engines", "replicas")

app = typer.Typer(add_completion=False)


@app.command()
def classify_speech(  # noqa: PLR0913, PLR0917 - a command line
    files: options.AudioInputs,
    labels: options.Labels = "",
    label: options.MoreLabels = None,
    labels_file: options.LabelsFile = None,
    template: options.Template = "",
    multi_label: options.MultiLabel = False,
    top_k: options.TopK = None,
    threshold: options.Threshold = None,
    model: Annotated[str, typer.Option(show_default=False, help="Model that scores labels.")] = "",
    speech_model: Annotated[str, typer.Option(show_default=False, help="Model that hears words.")] = "",
    language: options.Language = "",
    words: options.Words = False,
    translate: options.Translate = False,
    hint: options.Hints = None,
    redact: options.Redact = None,
    profanity_filter: options.ProfanityFilter = False,
    encoding: options.Encoding = None,
    sample_rate: options.SampleRate = 0,
    channels: options.Channels = 0,
    codec: options.ClipCodec = None,
    output_format: options.AnyOutput = None,
    as_json: options.Json = False,
    target: options.Target = "localhost:8080",
    timeout: options.Timeout = 60.0,
    concurrency: options.Concurrency = 4,
) -> None:
    """Write down what is said in audio files, and say which labels fit it best."""
    choices = inputs.labels(labels, label, labels_file)
    wanted: ClassifySpeechOptions = {
        "model": model,
        "speech_model": speech_model,
        "template": template,
        "multi_label": multi_label,
        "top_k": top_k,
        "threshold": threshold,
        "language": language,
        "word_offsets": words,
        "translate": translate,
        "phrase_hints": hint or (),
        "redact": redact or (),
        "profanity_filter": profanity_filter,
        "encoding": encoding,
        "sample_rate": sample_rate,
        "channels": channels,
        "codec": codec,
    }
    form = output.chosen(output_format, as_json, options.Output)
    clips = inputs.audio(files)
    job = batch.Job(partial(_call, choices, wanted), partial(_record, len(clips) > 1), lambda clip: clip.name)
    batch.run(job, clips, batch.Service(target, timeout, concurrency), output.sink(form, COLUMNS))


async def _call(
    labels: list[str], wanted: ClassifySpeechOptions, client: AsyncClient, clip: inputs.AudioInput
) -> SpeechClassification:
    return await client.classify_speech(clip.source, labels, **wanted)


def _record(named: bool, clip: inputs.AudioInput, result: SpeechClassification) -> output.Record:
    hearing, scoring = result.recognition, result.classification
    name = f"{clip.name}: " if named else ""
    return output.Record(
        data={"input": clip.name} | output.fields(result),
        cells=(
            clip.name,
            result.text,
            output.scores(scoring, "\n"),
            output.seconds(scoring.latency.total),
            f"{hearing.engine}\n{scoring.engine}",
            f"{hearing.replica}\n{scoring.replica}",
        ),
        text=f"{name}{output.scores(scoring, ', ')}\t{result.text}",
    )
