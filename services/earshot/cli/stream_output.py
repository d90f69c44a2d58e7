"""How a stream is shown: drawn as the words come, plain lines in a pipe, or a line of JSON for each event."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import typer

from earshot.cli import output
from earshot.cli.errors import describe, say

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import RenderableType

    from earshot.client import Classification, Event, Labels, Reconnecting, StreamResult

BAR: Final = 20  # characters of a score of 1
MOST_BARS: Final = 5


class Show(Protocol):
    """Where events go; a context manager, so that a terminal is left as it was."""

    interim: bool  # whether interims are of use to it

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def event(self, event: Event) -> None:
        """Shows what has come."""

    def note(self, message: str) -> None:
        """Says something of the stream itself."""

    def finish(self, result: StreamResult) -> None:
        """Shows what there was in all."""


def chosen(*, as_json: bool) -> Show:
    """JSON where asked for; else drawn on a terminal, and plain in a pipe."""
    if as_json:
        return JsonLines()
    return Screen() if sys.stdout.isatty() else PlainLines()


class _Lines:
    """What needs no leaving."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def note(self, message: str) -> None:
        """On standard error, beside the lines."""
        say(message)


class PlainLines(_Lines):
    """A line for each final; breaks are told on standard error."""

    interim = False

    def event(self, event: Event) -> None:
        """Prints finals, and the scores of finals."""
        from earshot.client import Final, Labels, Reconnecting

        if isinstance(event, Final):
            typer.echo(event.text)
        elif isinstance(event, Labels) and event.is_final and event.segment is not None:
            typer.echo(f"\t{output.scores(event.segment, ', ')}")
        elif isinstance(event, Reconnecting):
            say(_trouble(event))

    def finish(self, result: StreamResult) -> None:
        """All has been printed."""


class JsonLines(_Lines):
    """A line of JSON for each event, and one for the account at the end."""

    interim = True

    def event(self, event: Event) -> None:
        """Prints the event."""
        from earshot.client import Reconnecting

        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()
        self._print(name, _trouble_data(event) if isinstance(event, Reconnecting) else output.fields(event))

    def finish(self, result: StreamResult) -> None:
        """Prints the account."""
        if result.summary is not None:
            self._print("summary", output.fields(result.summary) | {"text": result.text})

    def _print(self, name: str, data: dict[str, object]) -> None:
        typer.echo(json.dumps({"event": name} | data, ensure_ascii=False))


class Screen:
    """Finals firm, one below the other; under them, dim, what may still change, and the scores as bars."""

    interim = True

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(), transient=True, refresh_per_second=12)
        self._words: RenderableType = ""
        self._bars: RenderableType = ""
        self._note: RenderableType = ""

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def event(self, event: Event) -> None:
        """Draws the event."""
        from rich.text import Text

        from earshot.client import Final

        self._take(event)
        self._draw(refresh=isinstance(event, Final))
        if isinstance(event, Final):  # its interim is gone by now
            self._live.console.print(Text(event.text))

    def note(self, message: str) -> None:
        """Draws it below all else; on standard error it would be drawn over."""
        from rich.text import Text

        self._note = Text(message, style="yellow")
        self._draw(refresh=True)

    def finish(self, result: StreamResult) -> None:
        """Leaves the scores of all that was said, and the account, below the words."""
        from rich.text import Text

        if result.conversation is not None:
            self._live.console.print(bars(result.conversation))
        if (summary := result.summary) is not None:
            heard, spoken = summary.audio_received, summary.audio_transcribed
            self._live.console.print(Text(f"{heard:.1f} s heard, {spoken:.1f} s of it speech", style="dim"))

    def _draw(self, *, refresh: bool) -> None:
        from rich.console import Group

        shown = [part for part in (self._words, self._bars, self._note) if part]
        self._live.update(Group(*shown), refresh=refresh)

    def _take(self, event: Event) -> None:
        from rich.text import Text

        from earshot.client import Final, Interim, Labels, Reconnecting, Resumed

        if isinstance(event, Final):
            self._words = ""
        elif isinstance(event, Interim):
            parts = ((event.stable, "dim"), (event.unstable, "dim italic"))
            self._words = Text(" ").join(Text(words, style) for words, style in parts if words)
        elif isinstance(event, Labels):
            self._bars = _running(event) or self._bars
        elif isinstance(event, Reconnecting):
            self._note = Text(_trouble(event), style="yellow")
        elif isinstance(event, Resumed):
            self._note = ""


def bars(scored: Classification) -> Any:  # noqa: ANN401 - a table, whose library waits
    """The highest scores as bars, one below the other."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    for label in scored.labels[:MOST_BARS]:
        full = round(label.score * BAR)
        bar = Text("█" * full, style="cyan") + Text("░" * (BAR - full), style="dim")
        grid.add_row(Text(label.label), bar, Text(f"{label.score:.2f}"))
    if scored.best is None:
        grid.add_row(Text("none of these", style="dim"))
    return grid


def _running(labels: Labels) -> Any:  # noqa: ANN401 - as above
    scored = labels.conversation or labels.segment
    return None if scored is None else bars(scored)


def _trouble(event: Reconnecting) -> str:
    return f"the connection broke ({describe(event.cause)}): trying again in {event.pause:.1f} s"


def _trouble_data(event: Reconnecting) -> dict[str, object]:
    cause = {"reason": event.cause.reason, "field": event.cause.field, "message": event.cause.message}
    return {"attempt": event.attempt, "pause": round(event.pause, 6), "cause": cause}
