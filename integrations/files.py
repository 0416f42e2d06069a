"""Uploaded files as a source: CSV and JSONL, read a block at a time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol
from zoneinfo import ZoneInfo

from core.connector import FileOptions, FilesConfig, Page, Preview
from core.crm import KINDS
from core.errors import SourceRejected
from core.faults import quoted
from core.model import Frozen
from integrations.cells import Cells
from integrations.mapping import NAMED_BY_DEALS, BadRow, Mapped, named_by_deals, pipelines
from integrations.tables import LONGEST_ROW, BadLine, Objects, Rows, Table

if TYPE_CHECKING:
    from core.crm import Kind, Record
    from core.run import Workspace

ROWS = 1_000
BLOCK = 1 << 20
DELIMITERS = (",", ";", "\t", "|")
SEPARATOR = re.compile(rb"sep=([\t -!#-~])\r?\n")  # Excel's own way to say it

Row = tuple[str, dict[str, Any] | BadLine]  # where it stands, and its cells by column


class StoredFile(Protocol):
    @property
    def version(self) -> int: ...
    @property
    def format(self) -> Literal["csv", "jsonl"]: ...
    @property
    def size(self) -> int: ...
    @property
    def uploaded_at(self) -> datetime: ...


class Files(Protocol):
    """As they were stored: UTF-8, each line ended by a newline character alone."""

    async def list_current(self, workspace: str, source: str) -> Mapping[Kind, StoredFile]: ...

    async def find(
        self, workspace: str, source: str, kind: Kind, version: int
    ) -> StoredFile | None: ...

    async def read(self, workspace: str, version: int, start: int, length: int) -> bytes: ...


class Place(Frozen):
    """Where in a file a page begins; `version` stays that of the pass, whatever is uploaded."""

    version: int
    start: int = 0
    line: int = 1


@dataclass(frozen=True)
class Sheet:
    """A file and what its beginning says: where rows begin, and which column holds what."""

    file: StoredFile
    delimiter: str
    header: tuple[str, ...]
    first: Place
    mapped: Mapped


class FileSource:
    def __init__(
        self,
        files: Files,
        workspace: Workspace,
        source: str,
        config: FilesConfig,
        current: Mapping[Kind, StoredFile],
    ) -> None:
        self._files = files
        self._workspace = workspace
        self._source = source
        self._config = config
        self._current = current
        self._sheets: dict[tuple[Kind, int], Sheet] = {}

    @property
    def kinds(self) -> tuple[Kind, ...]:
        named = NAMED_BY_DEALS if "deals" in self._current else ()
        return tuple(kind for kind in KINDS if kind in self._current or kind in named)

    def lists_all(self, kind: Kind, since: datetime | None) -> bool:  # noqa: ARG002 - files are whole
        return self._options(kind if kind in self._current else "deals").lists == "all"

    async def page(self, kind: Kind, since: datetime | None, cursor: str | None) -> Page:  # noqa: ARG002
        if kind not in self._current:
            return await self._named_by_deals(kind)
        if kind == "pipelines":
            return await self._pipelines()
        place = Place.model_validate_json(cursor) if cursor else None
        sheet = await self._sheet(kind, place.version if place else None)
        rows, following = await self._rows(kind, sheet, place or sheet.first)
        told: list[Record] = []
        faults: list[str] = []
        for where, row in rows:
            try:
                told.append(sheet.mapped.record(sound(row), sheet.file.uploaded_at))
            except BadRow as bad:
                faults.append(f"{where}: {bad}")
        after = None if following is None else following.model_dump_json()
        return Page(records=tuple(told), next=after, faults=tuple(faults))

    async def preview(self, kind: Kind) -> Preview:
        """How its columns are read, and how many rows there are."""
        if kind not in self._current:
            return Preview()
        sheet = await self._sheet(kind)
        rows, place = 0, sheet.first
        while place is not None:
            read, place = await self._rows(kind, sheet, place)
            rows += len(read)
        return Preview(columns=sheet.mapped.columns, unused=sheet.mapped.unused, rows=rows)

    def _options(self, kind: Kind) -> FileOptions:
        return self._config.kinds.get(kind) or FileOptions()

    async def _pipelines(self) -> Page:
        sheet, faults = await self._sheet("pipelines"), list[str]()
        rows: list[tuple[str, dict[str, Any]]] = []
        async for where, row in self._all("pipelines", sheet):
            try:
                rows.append((where, sound(row)))
            except BadRow as bad:
                faults.append(f"{where}: {bad}")
        told = pipelines(sheet.mapped, rows, self._config.outcomes, sheet.file.uploaded_at, faults)
        return Page(records=tuple(told), faults=tuple(faults))

    async def _named_by_deals(self, kind: Kind) -> Page:
        """What is wrong with deals is told where they are read."""
        sheet = await self._sheet("deals")
        cells = Cells(self._options("deals"), ZoneInfo(self._workspace.timezone))
        columns = [sheet.mapped.columns.get(field) for field in NAMED_BY_DEALS[kind]]
        named: dict[tuple[str | None, ...], None] = {}
        async for _, row in self._all("deals", sheet):
            if isinstance(row, BadLine):
                continue
            values = [cells.read("id", row.get(column)) if column else None for column in columns]
            named[tuple(values)] = None
        told = named_by_deals(kind, named, self._config.outcomes, sheet.file.uploaded_at)
        return Page(records=tuple(told))

    async def _all(self, kind: Kind, sheet: Sheet) -> AsyncIterator[Row]:
        place: Place | None = sheet.first
        while place is not None:
            rows, place = await self._rows(kind, sheet, place)
            for row in rows:
                yield row

    async def _sheet(self, kind: Kind, version: int | None = None) -> Sheet:
        file: StoredFile | None = self._current[kind]
        if version is not None and version != file.version:
            file = await self._files.find(self._workspace.id, self._source, kind, version)
            if file is None:
                raise SourceRejected(f"{kind}: the file was replaced twice meanwhile; sync again")
        known = self._sheets.get((kind, file.version))
        if known is None:
            known = self._sheets[kind, file.version] = await self._opened(kind, file)
        return known

    async def _opened(self, kind: Kind, file: StoredFile) -> Sheet:
        options = self._options(kind)
        cells = Cells(options, ZoneInfo(self._workspace.timezone))
        block = await self._block(file, Place(version=file.version), BLOCK)
        is_last = len(block) == file.size
        if file.format == "jsonl":
            delimiter, first = "", Place(version=file.version)
            read = [row for _, row in Objects(block, 1, is_last=is_last)]
            objects = [row for row in read[:ROWS] if isinstance(row, dict)]
            header = tuple(dict.fromkeys(name for each in objects for name in each))
        else:
            header, delimiter, first = _header(kind, file, block, options.delimiter)
        return Sheet(file, delimiter, header, first, Mapped(kind, options, header, cells))

    async def _rows(self, kind: Kind, sheet: Sheet, place: Place) -> tuple[list[Row], Place | None]:
        """The rows of a page, and where the next begins."""
        size = BLOCK
        while True:
            block = await self._block(sheet.file, place, size)
            is_last = place.start + len(block) >= sheet.file.size
            reader = _reader(kind, sheet, block, place.line, is_last=is_last)
            rows = [(f"{kind} line {line}", row) for line, row in islice(reader, ROWS)]
            if reader.consumed or is_last:
                break
            size *= 2
            if size > LONGEST_ROW:
                raise SourceRejected(
                    f"{kind} line {place.line}: a row of more than {LONGEST_ROW >> 20} MB:"
                    " is a quote never closed?"
                )
        start = place.start + reader.consumed
        following = Place(version=place.version, start=start, line=reader.line)
        is_over = start >= sheet.file.size or not reader.consumed
        return rows, None if is_over else following

    async def _block(self, file: StoredFile, place: Place, length: int) -> bytes:
        return await self._files.read(self._workspace.id, file.version, place.start, length)


def _header(
    kind: Kind, file: StoredFile, block: bytes, stated: str | None
) -> tuple[tuple[str, ...], str, Place]:
    start, line = 0, 1
    if told := SEPARATOR.match(block):
        start, line = told.end(), 2
        stated = stated or told[1].decode()
    names = block[start:].partition(b"\n")[0].decode(errors="replace")
    delimiter = stated or max(DELIMITERS, key=names.count)
    table = Table(kind, block[start:], line, delimiter, is_last=len(block) == file.size)
    _, cells = next(table.cells(), (line, BadLine()))
    if isinstance(cells, BadLine):
        raise SourceRejected(f"{kind} line {line}: expected a header, names of columns")
    header = tuple(cell.strip() for cell in cells)
    double = next((name for name, many in Counter(header).items() if name and many > 1), None)
    if double is not None:
        raise SourceRejected(f"{kind} line {line}: two columns are called {quoted(double)}")
    first = Place(version=file.version, start=start + table.consumed, line=table.line)
    return header, delimiter, first


def _reader(kind: Kind, sheet: Sheet, block: bytes, line: int, *, is_last: bool) -> Rows:
    if sheet.file.format == "jsonl":
        return Objects(block, line, is_last=is_last)
    return Table(kind, block, line, sheet.delimiter, sheet.header, is_last=is_last)


def sound(row: dict[str, Any] | BadLine) -> dict[str, Any]:
    if isinstance(row, BadLine):
        raise BadRow(str(row))
    return row
