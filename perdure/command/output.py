from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TextIO

from perdure.command.plain import as_json, one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from perdure.errors import PerdureError

Form = Literal["text", "json"]
GAP = "  "

STYLE_OF_STATUS = {
    "succeeded": "green",
    "failed": "red",
    "timed_out": "red",
    "cancelled": "yellow",
    "paused": "yellow",
    "waiting": "yellow",
    "running": "cyan",
    "retrying": "yellow",
    "error": "red",
    "warning": "yellow",
}


@dataclass(frozen=True)
class Styled:
    """A piece of text that stands out where the terminal can show it."""

    text: str
    style: str


Piece = str | Styled


def status_piece(status: str) -> Piece:
    style = STYLE_OF_STATUS.get(status)
    return Styled(status, style) if style else status


class Output:
    """What was asked for goes to stdout, everything about it to stderr; rich only on a terminal."""

    def __init__(self, form: Form) -> None:
        self.form: Form = form

    def document(self, value: Any) -> None:
        """The one JSON document of a command; a person gets it indented."""
        self._write(sys.stdout, as_json(value, encoding=sys.stdout.encoding, indent=2))

    def record(self, value: Any) -> None:
        """One line of a JSON stream."""
        self._write(sys.stdout, as_json(value, encoding=sys.stdout.encoding))
        sys.stdout.flush()

    def say(self, *pieces: Piece) -> None:
        self._print(sys.stdout, pieces)

    def flush(self) -> None:
        sys.stdout.flush()

    def note(self, *pieces: Piece) -> None:
        """About the answer, not part of it; a JSON reader is not told."""
        if self.form == "text":
            self._print(sys.stderr, pieces)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Piece]]) -> None:
        cells = [[_flat(cell) for cell in row] for row in rows]
        if sys.stdout.isatty():
            self._rich_table(columns, cells)
            return
        lines = [list(columns), *([_text(cell) for cell in row] for row in cells)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
        for line in lines:
            padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self._write(sys.stdout, GAP.join(padded).rstrip())

    def error(self, error: PerdureError, exit_code: int, hint: str | None = None) -> None:
        if self.form == "json":
            told = error.document() | {"exit_code": exit_code} | ({"hint": hint} if hint else {})
            self.trouble(told)
            return
        self._print(sys.stderr, [Styled("error: ", "bold red"), error.detail])
        for fault in getattr(error, "errors", []):
            if f"{fault.field}: {fault.message}" == error.detail:
                continue
            self._print(sys.stderr, [GAP, Styled(fault.field, "bold"), f": {fault.message}"])
        for fault in getattr(error, "faults", []):
            self._print(sys.stderr, [GAP, *fault_pieces(fault)])
        if hint:
            self._print(sys.stderr, [hint])

    def trouble(self, value: Any) -> None:
        """An error as a JSON reader is told of it."""
        self._write(sys.stderr, as_json(value, encoding=sys.stderr.encoding))

    @cached_property
    def errors(self) -> Console:
        """For what moves on the screen while a run goes on."""
        return _console(sys.stderr)

    def _rich_table(self, columns: Sequence[str], rows: list[list[Piece]]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for position, column in enumerate(columns):
            # Whoever copies an id needs the whole of it: only the last column gives way.
            last = position == len(columns) - 1
            table.add_column(Text(column), no_wrap=not last, overflow="fold")
        for row in rows:
            table.add_row(*(Text(_text(cell), style=_style(cell)) for cell in row))
        _console(sys.stdout).print(table)

    def _print(self, stream: TextIO, pieces: Iterable[Piece]) -> None:
        safe = [(plain(_text(piece)), _style(piece)) for piece in pieces]
        if not stream.isatty():
            self._write(stream, "".join(text for text, _ in safe))
            return
        from rich.text import Text

        _console(stream).print(Text.assemble(*safe), soft_wrap=True)

    def _write(self, stream: TextIO, line: str) -> None:
        stream.write(line + "\n")


def fault_pieces(fault: Any) -> list[Piece]:
    severity = status_piece(fault.severity)
    return [Styled(fault.place, "bold"), ": ", severity, f": {fault.message}"]


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, markup=False, highlight=False, emoji=False)


def _flat(cell: Piece) -> Piece:
    text = one_line(_text(cell))
    return Styled(text, cell.style) if isinstance(cell, Styled) else text


def _text(piece: Piece) -> str:
    return piece.text if isinstance(piece, Styled) else piece


def _style(piece: Piece) -> str:
    return piece.style if isinstance(piece, Styled) else ""
