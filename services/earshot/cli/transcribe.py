"""``earshot transcribe``: speech in, words out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from earshot.cli import batch, inputs, options, output, subtitles

if TYPE_CHECKING:
    from earshot.client import AsyncClient, Recognition, RecognizeOptions

COLUMNS: Final = ("input", "words heard", "language", "audio", "took", "engine", "replica")

app = typer.Typer(add_completion=False)


@app.command()
def transcribe(  # noqa: PLR0913, PLR0917 - a command line
    files: options.AudioInputs,
    output_format: Annotated[
        options.TranscriptOutput | None,
        typer.Option("--output", "-o", show_default=False, help="Default: table on a terminal, else txt."),
    ] = None,
    as_json: options.Json = False,
    model: Annotated[str, typer.Option(show_default=False, help="Model; default: the service's own.")] = "",
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
    target: options.Target = "localhost:8080",
    timeout: options.Timeout = 60.0,
    concurrency: options.Concurrency = 4,
) -> None:
    """Write down what is said in audio files.

    Any format that the service can decode will do; raw samples need --encoding and --sample-rate.
    """
    wanted: RecognizeOptions = {
        "model": model,
        "language": language,
        "word_offsets": words,
        "phrase_hints": hint or (),
        "redact": redact or (),
        "profanity_filter": profanity_filter,
        "translate": translate,
        "encoding": encoding,
        "sample_rate": sample_rate,
        "channels": channels,
        "codec": codec,
    }
    form = output.chosen(output_format, as_json, options.TranscriptOutput)
    clips = inputs.audio(files)
    if form in _SUBTITLES and len(clips) > 1:
        raise typer.BadParameter(
            f"{form} is for one input, and there are {len(clips)}", param_hint="--output"
        )
    text = _SUBTITLES.get(form) or partial(_plain, len(clips) > 1)
    job = batch.Job(partial(_call, wanted), partial(_record, text), lambda clip: clip.name)
    batch.run(job, clips, batch.Service(target, timeout, concurrency), output.sink(form, COLUMNS))


async def _call(wanted: RecognizeOptions, client: AsyncClient, clip: inputs.AudioInput) -> Recognition:
    return await client.recognize(clip.source, **wanted)


def _record(text: TextForm, clip: inputs.AudioInput, result: Recognition) -> output.Record:
    answer = output.fields(result)
    return output.Record(
        data={"input": clip.name, "text": result.text, "language": result.language} | answer,
        cells=(
            clip.name,
            result.text,
            result.language,
            output.seconds(result.audio_duration),
            output.seconds(result.latency.total),
            result.engine,
            result.replica,
        ),
        text=text(clip, result),
    )


def _plain(named: bool, clip: inputs.AudioInput, result: Recognition) -> str:
    # As grep: the name is there where there are several.
    return f"{clip.name}: {result.text}" if named else result.text


def _srt(_clip: inputs.AudioInput, result: Recognition) -> str:
    return subtitles.srt(result.segments)


def _vtt(_clip: inputs.AudioInput, result: Recognition) -> str:
    return subtitles.vtt(result.segments)


TextForm: TypeAlias = Callable[[inputs.AudioInput, "Recognition"], str]

_SUBTITLES: Final[Mapping[str, TextForm]] = {"srt": _srt, "vtt": _vtt}
