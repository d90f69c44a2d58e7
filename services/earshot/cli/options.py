"""The options that several sub-commands take: one spelling and one help text for each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

import typer


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    TXT = "txt"


class TranscriptOutput(StrEnum):
    """How transcripts are printed: the same, and as subtitles."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"


_SERVICE = "The service"
_AUDIO = "Raw samples"
_LABELS = "Labels"

Target: TypeAlias = Annotated[
    str,
    typer.Option(
        envvar="EARSHOT_TARGET", show_envvar=True, help="host:port of the service.", rich_help_panel=_SERVICE
    ),
]
Timeout: TypeAlias = Annotated[
    float, typer.Option(min=0.001, help="Seconds for each call, retries included.", rich_help_panel=_SERVICE)
]
Concurrency: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Calls at a time; the order is kept.", rich_help_panel=_SERVICE)
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AnyOutput: TypeAlias = Annotated[
    Output | None,
    typer.Option("--output", "-o", show_default=False, help="Default: table on a terminal, else txt."),
]

AudioInputs: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="FILE", help="Audio files, folders of them, or - for standard input."),
]
Language: TypeAlias = Annotated[
    str, typer.Option(show_default=False, help="Language spoken, as 'en'; default: detected.")
]
Words: TypeAlias = Annotated[
    bool, typer.Option("--words", help="Give the start and end of each word (in JSON).")
]
Translate: TypeAlias = Annotated[bool, typer.Option("--translate", help="Write down in English.")]
Hints: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--hint", show_default=False, help="A phrase that is likely in the audio; repeatable."),
]
Redact: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--redact", show_default=False, help="Take out number, email, card, phone, name; repeatable."
    ),
]
ProfanityFilter: TypeAlias = Annotated[
    bool, typer.Option("--profanity-filter", help="Leave the first letter of profane words.")
]
Encoding: TypeAlias = Annotated[
    str | None,
    typer.Option(
        show_default=False,
        help="linear16, linear32f, mulaw or alaw; default: the file's header says.",
        rich_help_panel=_AUDIO,
    ),
]
SampleRate: TypeAlias = Annotated[
    int, typer.Option(min=0, show_default=False, help="Hertz, for raw samples.", rich_help_panel=_AUDIO)
]
Channels: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0, max=8, show_default=False, help="Interleaved channels; default: 1.", rich_help_panel=_AUDIO
    ),
]

Labels: TypeAlias = Annotated[
    str, typer.Option("--labels", show_default=False, help="Labels as a,b,c.", rich_help_panel=_LABELS)
]
MoreLabels: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        show_default=False,
        help="One label, which may hold commas; repeatable.",
        rich_help_panel=_LABELS,
    ),
]
LabelsFile: TypeAlias = Annotated[
    typer.FileText | None,
    typer.Option(
        "--labels-file",
        encoding="utf-8",
        show_default=False,
        help="A file with a label on each line.",
        rich_help_panel=_LABELS,
    ),
]
Template: TypeAlias = Annotated[
    str,
    typer.Option(
        show_default=False, help="A sentence with {} in the label's place.", rich_help_panel=_LABELS
    ),
]
MultiLabel: TypeAlias = Annotated[
    bool,
    typer.Option("--multi-label", help="Several labels may be true at once.", rich_help_panel=_LABELS),
]
TopK: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, show_default=False, help="Only so many labels.", rich_help_panel=_LABELS),
]
Threshold: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, show_default=False, help="Only labels that score this much.", rich_help_panel=_LABELS
    ),
]

_STREAM = "The stream"

AudioInput: TypeAlias = Annotated[
    str, typer.Argument(metavar="FILE", help="An audio file, or - for standard input.")
]
SpeechModel: TypeAlias = Annotated[
    str, typer.Option("--model", show_default=False, help="Model that hears words.")
]
LabelModel: TypeAlias = Annotated[
    str, typer.Option(show_default=False, help="Model that scores labels.", rich_help_panel=_LABELS)
]
Interim: TypeAlias = Annotated[
    bool, typer.Option("--interim/--no-interim", help="Show words before they are final.")
]
JsonLines: TypeAlias = Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")]
Events: TypeAlias = Annotated[
    bool, typer.Option("--events", help="Tell when speech starts and ends.", rich_help_panel=_STREAM)
]
Codec: TypeAlias = Annotated[
    str | None,
    typer.Option(
        show_default=False,
        help="Send as opus, opus:24k (bit/s) or flac; default: as it is.",
        rich_help_panel=_STREAM,
    ),
]
ClipCodec: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--codec",
        show_default=False,
        help="Send as opus, opus:24k (bit/s), flac, or auto: what the link calls for; default: as it is.",
        rich_help_panel=_SERVICE,
    ),
]
EndSilence: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        show_default=False,
        help="Seconds of silence that end a stretch; default: the service's own.",
        rich_help_panel=_STREAM,
    ),
]
MaxSegment: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        show_default=False,
        help="Seconds of the longest stretch; default: the service's own.",
        rich_help_panel=_STREAM,
    ),
]
GiveUpAfter: TypeAlias = Annotated[
    float,
    typer.Option(min=0.001, help="Seconds of trouble without any progress.", rich_help_panel=_SERVICE),
]
