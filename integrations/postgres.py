"""Any PostgreSQL as a source: a query for each kind, read in one order and in pages."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from core.connector import Page, PostgresConfig, Preview, QueryOptions
from core.crm import KINDS
from core.errors import SourceForbidden, SourceRejected, SourceUnavailable
from core.faults import quoted
from core.model import Frozen
from integrations.cells import Cells
from integrations.mapping import NAMED_BY_DEALS, BadRow, Mapped, named_by_deals, pipelines
from integrations.postgres_address import Address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence

    from asyncpg.cursor import Cursor

    from core.crm import Kind, Record
    from outbound import Guard

ROWS = 1_000
MOST_WHOLE = 100_000
OURS = ("perdure_key", "perdure_time")

# A row without a time is read each time, for nobody can say whether it has changed. The order is by
# the rows' own columns, so that a reading that was cut off goes on behind its last row.
TIMED = """
    SELECT q.*, q.{id}::text AS perdure_key, q.{time}::text AS perdure_time
    FROM (
{query}
    ) AS q
    WHERE (q.{time} >= $1::text::{time_type} OR $1::text IS NULL OR q.{time} IS NULL)
        AND ($2::text IS NULL
            OR (q.{time}, q.{id}) > ($3::text::{time_type}, $2::text::{id_type})
            OR q.{time} IS NULL AND ($3::text IS NOT NULL OR q.{id} > $2::text::{id_type}))
    ORDER BY q.{time}, q.{id}
"""
UNTIMED = """
    SELECT q.*, q.{id}::text AS perdure_key, NULL::text AS perdure_time
    FROM (
{query}
    ) AS q
    WHERE ($2::text IS NULL OR q.{id} > $2::text::{id_type})
        AND $1::text IS NULL AND $3::text IS NULL
    ORDER BY q.{id}
"""
WHOLE = """
    SELECT q.* FROM (
{query}
    ) AS q
"""
COUNT = """
    SELECT count(*) FROM (
{query}
    ) AS q
"""
NAMES = """
    SELECT DISTINCT {columns} FROM (
{query}
    ) AS q
    ORDER BY {places}
"""
Row = Mapping[str, Any]
# What `since` can be compared with.
TIMES = frozenset(("timestamptz", "timestamp", "date"))


class Place(Frozen):
    """The last row of the page before, as the database writes it."""

    key: str
    time: str | None = None


@dataclass(frozen=True)
class Sheet:
    """What a query answers: which of its columns holds what, and of which types they are."""

    query: str
    mapped: Mapped
    types: Mapping[str, tuple[str, str]]

    @property
    def time(self) -> str | None:
        column = self.mapped.columns.get("modified_at")
        return column if column and self.types[column][1] in TIMES else None

    @property
    def is_ordered(self) -> bool:
        return "id" in self.mapped.columns and self.mapped.kind != "pipelines"

    def statement(self) -> str:
        key = self.mapped.columns["id"]
        named = {"{id}": _quoted(key), "{id_type}": _type(self.types[key])}
        if self.time is not None:
            named |= {"{time}": _quoted(self.time), "{time_type}": _type(self.types[self.time])}
        return _about(UNTIMED if self.time is None else TIMED, self.query, named)


class PostgresSource:
    """Reads on with one cursor of the server as long as pages are asked for in their order."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        config: PostgresConfig,
        sheets: Mapping[Kind, Sheet],
        opened_at: datetime,
    ) -> None:
        self._connection = connection
        self._config = config
        self._sheets = sheets
        self._opened_at = opened_at
        self._reading = AsyncExitStack()
        self._cursor: Cursor | None = None
        self._follows: tuple[Kind, datetime | None, str | None] | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        named = NAMED_BY_DEALS if "deals" in self._sheets else ()
        return tuple(kind for kind in KINDS if kind in self._sheets or kind in named)

    def lists_all(self, kind: Kind, since: datetime | None) -> bool:
        sheet = self._sheets.get(kind)
        return since is None or sheet is None or not sheet.is_ordered or sheet.time is None

    async def page(self, kind: Kind, since: datetime | None, cursor: str | None) -> Page:
        with _named(kind):
            sheet = self._sheets.get(kind)
            if sheet is None:
                return await self._named_by_deals(kind)
            if not sheet.is_ordered:
                return await self._whole(kind, sheet)
            place = Place.model_validate_json(cursor) if cursor else None
            if self._cursor is None or self._follows != (kind, since, cursor):
                await self._read_from(sheet, None if sheet.time is None else since, place)
            rows = [dict(row) for row in await self._fetched(ROWS)]
            following = None
            if len(rows) == ROWS:
                key, time = (rows[-1][name] for name in OURS)
                following = Place(key=key, time=time).model_dump_json()
            self._follows = (kind, since, following)
            return self._page(sheet, rows, following)

    async def preview(self, kind: Kind) -> Preview:
        sheet = self._sheets.get(kind)
        if sheet is None:
            return Preview()
        with _named(kind):
            rows = await self._connection.fetchval(_about(COUNT, sheet.query))
        return Preview(columns=sheet.mapped.columns, unused=sheet.mapped.unused, rows=rows)

    async def close(self) -> None:
        await self._reading.aclose()

    async def _read_from(self, sheet: Sheet, since: datetime | None, place: Place | None) -> None:
        await self._reading.aclose()
        await self._reading.enter_async_context(self._connection.transaction(readonly=True))
        self._cursor = await self._connection.cursor(
            sheet.statement(),
            since and since.astimezone(UTC).isoformat(),
            place and place.key,
            place and place.time,
        )

    async def _fetched(self, rows: int) -> list[asyncpg.Record]:
        if self._cursor is None:
            raise RuntimeError("open a cursor first")
        return await self._cursor.fetch(rows)

    def _page(self, sheet: Sheet, rows: Sequence[Row], following: str | None) -> Page:
        told: list[Record] = []
        faults: list[str] = []
        for row in rows:
            try:
                told.append(sheet.mapped.record(row, self._opened_at))
            except BadRow as bad:
                faults.append(f"{_place(sheet, row)}: {bad}")
        return Page(records=tuple(told), next=following, faults=tuple(faults))

    async def _whole(self, kind: Kind, sheet: Sheet) -> Page:
        rows = await self._bounded(_about(WHOLE, sheet.query))
        if kind != "pipelines":
            return self._page(sheet, rows, None)
        faults: list[str] = []
        placed = [(_place(sheet, row), row) for row in rows]
        told = pipelines(sheet.mapped, placed, self._config.outcomes, self._opened_at, faults)
        return Page(records=tuple(told), faults=tuple(faults))

    async def _named_by_deals(self, kind: Kind) -> Page:
        sheet = self._sheets["deals"]
        fields = NAMED_BY_DEALS[kind]
        columns = [sheet.mapped.columns.get(field) for field in fields]
        selected = [f"q.{_quoted(each)}::text" if each else "NULL::text" for each in columns]
        places = [str(place) for place in range(1, len(columns) + 1)]
        named = {"{columns}": ", ".join(selected), "{places}": ", ".join(places)}
        rows = await self._bounded(_about(NAMES, sheet.query, named))
        names = (tuple(_stripped(value) for value in row.values()) for row in rows)
        told = named_by_deals(kind, names, self._config.outcomes, self._opened_at)
        return Page(records=tuple(told))

    async def _bounded(self, statement: str) -> Sequence[Row]:
        """What has no order is read whole."""
        await self._reading.aclose()
        self._cursor = None
        async with self._connection.transaction(readonly=True):
            cursor = await self._connection.cursor(statement)
            rows = await cursor.fetch(MOST_WHOLE + 1)
        if len(rows) > MOST_WHOLE:
            raise SourceRejected(f"more than {MOST_WHOLE:,} rows: name the column of `id`")
        return [dict(row) for row in rows]


@asynccontextmanager
async def open_postgres(
    config: PostgresConfig, address: Address, guard: Guard
) -> AsyncGenerator[PostgresSource]:
    connection = await address.connect(guard)
    try:
        sheets: dict[Kind, Sheet] = {}
        for kind, options in config.kinds.items():
            with _named(kind):
                sheets[kind] = await _sheet(connection, kind, options)
        source = PostgresSource(connection, config, sheets, datetime.now(UTC))
        yield source
    finally:
        # Nothing was written: there is nothing to end in order.
        connection.terminate()


async def _sheet(connection: asyncpg.Connection, kind: Kind, options: QueryOptions) -> Sheet:
    query = options.query.strip().rstrip(";")
    prepared = await connection.prepare(_about(WHOLE, query))
    columns = prepared.get_attributes()
    names = [each.name for each in columns]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise SourceRejected(f"two columns are called {quoted(double)}")
    types = {each.name: (each.type.schema, each.type.name) for each in columns}
    return Sheet(query, Mapped(kind, options, names, Cells(options)), types)


@contextmanager
def _named(kind: Kind) -> Generator[None]:
    """Failures of a query; what the database says of it is the asker's to read."""
    try:
        yield
    except asyncpg.QueryCanceledError:
        raise SourceRejected(f"{kind}: the query took too long") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise SourceForbidden(f"{kind}: {error.args[0]}") from None
    except (
        asyncpg.PostgresConnectionError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        asyncpg.OperatorInterventionError,
        asyncpg.InsufficientResourcesError,
        asyncpg.TransactionRollbackError,
        OSError,
    ) as error:
        raise SourceUnavailable(
            f"{kind}: the database went away ({type(error).__name__})"
        ) from None
    except asyncpg.PostgresError as error:
        raise SourceRejected(f"{kind}: {error.args[0]}") from None


def _about(statement: str, query: str, named: Mapping[str, str] | None = None) -> str:
    """The query comes last: nothing is replaced in it."""
    for name, value in (named or {}).items():
        statement = statement.replace(name, value)
    return statement.replace("{query}", query)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _type(named: tuple[str, str]) -> str:
    return ".".join(_quoted(part) for part in named)


def _stripped(value: str | None) -> str | None:
    return (value or "").strip() or None


def _place(sheet: Sheet, row: Mapping[str, Any]) -> str:
    column = sheet.mapped.columns.get("id")
    named = f" with `{column}` {quoted(row[column])}" if column else ""
    return f"{sheet.mapped.kind}, the row{named}"
