"""Blocks of CSV or JSONL, row by row, with the line on which each begins."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import SourceRejected
from core.faults import quoted

if TYPE_CHECKING:
    from core.crm import Kind

LONGEST_ROW = 8 << 20
# The library's own limit is less than a transcript.
csv.field_size_limit(LONGEST_ROW)


class BadLine(Exception):
    pass


class Rows(Protocol):
    """`consumed` bytes and `line` are those after the row that came last."""

    consumed: int
    line: int

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any] | BadLine]]: ...


class Lines:
    """Those of a block that are whole; the last one of a file needs no end."""

    def __init__(self, block: bytes, first: int, *, is_last: bool) -> None:
        self._lines = block.split(b"\n")
        # What stands behind the last end of line is the beginning of another row, or nothing.
        if not is_last or not self._lines[-1]:
            self._lines.pop()
        self._next = 0
        self.first = first
        self.pulled = 0

    @property
    def line(self) -> int:
        return self.first + self._next

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._next == len(self._lines):
            raise StopIteration
        line = self._lines[self._next]
        self._next += 1
        self.pulled += len(line) + 1
        return line.decode() + "\n"


class Table:
    """CSV: a row may go over several lines."""

    def __init__(
        self,
        kind: Kind,
        block: bytes,
        line: int,
        delimiter: str,
        header: tuple[str, ...] = (),
        *,
        is_last: bool,
    ) -> None:
        self._kind = kind
        self._header = header
        self._is_last = is_last
        self._lines = Lines(block, line, is_last=is_last)
        self._cells = csv.reader(self._lines, delimiter=delimiter, strict=True)
        self.consumed = 0
        self.line = line

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any] | BadLine]]:
        for line, cells in self.cells():
            if isinstance(cells, BadLine):
                yield line, cells
            elif len(cells) != len(self._header):
                expected = f"{len(cells)} cells, and the header has {len(self._header)}"
                yield line, BadLine(expected)
            else:
                yield line, dict(zip(self._header, cells, strict=True))

    def cells(self) -> Iterator[tuple[int, list[str] | BadLine]]:
        """Rows with nothing in any cell are no rows."""
        while True:
            line = self.line
            try:
                cells: list[str] | BadLine = next(self._cells)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end" in str(error):
                    self._require_more(line)
                    return
                cells = BadLine(str(error))
            self.consumed, self.line = self._lines.pulled, self._lines.line
            if isinstance(cells, BadLine) or any(cells):
                yield line, cells

    def _require_more(self, line: int) -> None:
        """A row that goes on behind the block is of the next one."""
        if self._is_last:
            raise SourceRejected(
                f"{self._kind} line {line}: a quote opens in this row and is never closed"
            )


class Objects:
    """JSONL: an object a line."""

    def __init__(self, block: bytes, line: int, *, is_last: bool) -> None:
        self._lines = Lines(block, line, is_last=is_last)
        self.consumed = 0
        self.line = line

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any] | BadLine]]:
        for text in self._lines:
            line = self.line
            self.consumed, self.line = self._lines.pulled, self._lines.line
            if text.strip():
                yield line, _parsed(text)


def _parsed(text: str) -> dict[str, Any] | BadLine:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        return BadLine(f"expected a JSON object: {str(error)[:100]}")
    if not isinstance(read, dict):
        return BadLine(f"expected a JSON object, got {quoted(text.strip())}")
    return read
