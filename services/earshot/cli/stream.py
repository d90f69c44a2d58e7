"""``earshot stream``: words as they come, from a file or a pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earshot.cli import inputs, options, stream_output, streams
from earshot.cli.errors import ExitCode

if TYPE_CHECKING:
    from earshot.client import StreamOptions

app = typer.Typer(add_completion=False)


@app.command()
def stream(  # noqa: PLR0913, PLR0917 - a command line
    file: options.AudioInput,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Send a recording as fast as it was spoken.")
    ] = False,
    interim: options.Interim = True,
    as_json: options.JsonLines = False,
    model: options.SpeechModel = "",
    language: options.Language = "",
    words: options.Words = False,
    translate: options.Translate = False,
    hint: options.Hints = None,
    redact: options.Redact = None,
    profanity_filter: options.ProfanityFilter = False,
    labels: options.Labels = "",
    label: options.MoreLabels = None,
    labels_file: options.LabelsFile = None,
    template: options.Template = "",
    multi_label: options.MultiLabel = False,
    top_k: options.TopK = None,
    threshold: options.Threshold = None,
    label_model: options.LabelModel = "",
    codec: options.Codec = None,
    events: options.Events = False,
    end_silence: options.EndSilence = None,
    max_segment: options.MaxSegment = None,
    encoding: options.Encoding = None,
    sample_rate: options.SampleRate = 0,
    channels: options.Channels = 0,
    target: options.Target = "localhost:8080",
    give_up_after: options.GiveUpAfter = 60.0,
) -> None:
    """Write down, as it comes, what is said in a file of any length, or on standard input.

    A connection that breaks is made again, and nothing is lost. Raw samples need --encoding and
    --sample-rate.
    """
    show = stream_output.chosen(as_json=as_json)
    wanted: StreamOptions = {
        "realtime": realtime,
        "interim_results": interim and show.interim,
        "model": model,
        "language": language,
        "word_offsets": words,
        "translate": translate,
        "phrase_hints": hint or (),
        "redact": redact or (),
        "profanity_filter": profanity_filter,
        "labels": inputs.some_labels(labels, label, labels_file),
        "template": template,
        "multi_label": multi_label,
        "top_k": top_k,
        "threshold": threshold,
        "label_model": label_model,
        "codec": codec,
        "speech_events": events,
        "end_silence": end_silence,
        "max_segment": max_segment,
        "encoding": encoding,
        "sample_rate": sample_rate,
        "channels": channels,
        "give_up_after": give_up_after,
    }
    source = sys.stdin.buffer if file == inputs.STDIN else Path(file)
    if streams.run(source, wanted, target, show):
        raise typer.Exit(ExitCode.INTERRUPTED)
