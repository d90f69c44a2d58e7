"""``earshot listen``: words as they are spoken into the microphone."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from earshot.cli import inputs, options, stream_output, streams

if TYPE_CHECKING:
    from earshot.client import StreamOptions

app = typer.Typer(add_completion=False)


@app.command()
def listen(  # noqa: PLR0913, PLR0917 - a command line
    device: Annotated[
        str, typer.Option(show_default=False, help="Microphone, by number or name; default: the system's.")
    ] = "",
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
    target: options.Target = "localhost:8080",
    give_up_after: options.GiveUpAfter = 60.0,
) -> None:
    """Write down what is said into the microphone, as it comes; Ctrl-C ends.

    A connection that breaks is made again, and nothing is lost.
    """
    from earshot.cli.errors import say
    from earshot.client import Microphone

    show = stream_output.chosen(as_json=as_json)
    wanted: StreamOptions = {
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
        "give_up_after": give_up_after,
    }
    microphone = Microphone(int(device) if device.isdecimal() else device or None)
    streams.run(microphone, wanted, target, show)
    if microphone.overflows:
        say(f"the system itself lost samples {microphone.overflows} times: this machine is too busy")
