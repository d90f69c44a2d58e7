"""How results are printed: a table for people, lines and JSON for programs."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from earshot.client import Classification

FormatT = TypeVar("FormatT", bound=StrEnum)
Columns: TypeAlias = tuple[str, ...]
_NUMBERS = frozenset("0123456789-")  # what a number, or the lack of one, begins with
_NUMBER_WIDTH = 6


@dataclass(frozen=True, slots=True)
class Record:
    """One result in all its forms."""

    data: Mapping[str, object]  # for JSON
    cells: tuple[str, ...] = ()  # for the table; none: it does not appear there
    text: str | None = None  # as plain text; None: it does not appear there


class Sink(Protocol):
    """Where records go, one by one."""

    def add(self, record: Record) -> None: ...
    def finish(self) -> None: ...


def chosen(wanted: FormatT | None, as_json: bool, formats: type[FormatT]) -> FormatT:
    """The format to print in: as wanted, else a table on a terminal and plain text in a pipe."""
    if as_json:
        return formats("json")
    return wanted or formats("table" if sys.stdout.isatty() else "txt")


def sink(output: StrEnum, columns: Columns) -> Sink:
    """Where to put records to have them printed in that format."""
    if output == "table":
        return TableSink(columns)
    if output == "json":
        return JsonSink()
    return LineSink(to_json if output == "jsonl" else to_text)


@dataclass(slots=True)
class LineSink:
    """Prints each record as it comes."""

    form: Callable[[Record], str | None]

    def add(self, record: Record) -> None:
        """Prints the record, where it has this form."""
        text = self.form(record)
        if text is not None:
            typer.echo(text)

    def finish(self) -> None:
        """Nothing is left to do."""


@dataclass(slots=True)
class JsonSink:
    """Prints one JSON array at the end."""

    data: list[Mapping[str, object]] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Keeps the record."""
        self.data.append(record.data)

    def finish(self) -> None:
        """Prints the array."""
        print_json(self.data)


@dataclass(slots=True)
class TableSink:
    """Prints one table at the end, where it has rows."""

    columns: Columns
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Keeps the record's cells."""
        if record.cells:
            self.rows.append(record.cells)

    def finish(self) -> None:
        """Prints the table."""
        if self.rows:
            print_table(self.columns, self.rows)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; in a pipe, a line for each row with tabs between its cells."""
    if sys.stdout.isatty():
        print_table(columns, rows)
        return
    for row in rows:
        typer.echo("\t".join(row))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output, as wide as the terminal allows."""
    from rich.console import Console

    Console().print(table(columns, rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> Table:
    """A table to be drawn; with ``numbers``, columns that have any are set to the right, and stay as wide."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # The widest of `earshot top` fits into 80 columns.
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0) if numbers else (0, 1))
    kept = [tuple(row) for row in rows]
    for at, column in enumerate(columns):
        if numbers and all(row[at][:1] in _NUMBERS for row in kept):
            drawn.add_column(column, justify="right", min_width=_NUMBER_WIDTH)
        else:
            drawn.add_column(column, overflow="fold")
    for row in kept:
        drawn.add_row(*(Text(cell) for cell in row))  # a text's brackets are no markup
    return drawn


def print_json(data: object) -> None:
    """JSON on standard output, indented for reading."""
    typer.echo(json.dumps(plain(data), ensure_ascii=False, indent=2))


def to_json(record: Record) -> str:
    """The record as one line of JSON."""
    return json.dumps(plain(record.data), ensure_ascii=False)


def to_text(record: Record) -> str | None:
    """The record as plain text."""
    return record.text


def plain(value: object) -> object:
    """Dataclasses to mappings, and floats to six places, all the way down."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


def fields(result: object) -> dict[str, object]:
    """A result's fields by their names, ready for JSON."""
    return cast("dict[str, object]", plain(result))


def scores(result: Classification, separator: str) -> str:
    """Labels and scores, the highest first, or that none of them fits."""
    if result.best is None:
        return "none of these"
    return separator.join(f"{label.label} {label.score:.2f}" for label in result.labels)


def seconds(value: float | None) -> str:
    """A time for people; empty for what did not happen."""
    return "" if value is None else f"{value:.2f} s"
