"""Business data as it is written: whatever order and however often it comes, the newest stays."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pydantic_core import to_json

from core.model import Frozen
from store.crm.links import DROPS, Links
from store.crm.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from core.crm import Kind, Record
    from store.pool import Connection, Pool

# Two writers of one source would deadlock on its rows, and miss each other's changes.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('crm/' || $1 || '/' || $2, 0))"
AT_ONCE = 5_000


class Written(Frozen):
    """What a page did to the rows; a record that is the same or older leaves them `unchanged`."""

    written: int = 0
    deleted: int = 0
    unchanged: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(
            written=self.written + other.written,
            deleted=self.deleted + other.deleted,
            unchanged=self.unchanged + other.unchanged,
        )


class CRMRecords:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def forget(self, workspace: str, source: str) -> int:
        """All that a source ever told; how many rows that was."""
        gone = 0
        for kind in TABLES:
            forgotten = AT_ONCE
            while forgotten == AT_ONCE:
                forgotten = await self._forget_some(workspace, source, kind)
                gone += forgotten
        return gone

    async def _forget_some(self, workspace: str, source: str, kind: Kind) -> int:
        async with self._pool.transaction() as connection:
            await connection.execute(ONE_AT_A_TIME, workspace, source)
            rows = await connection.fetch(TABLES[kind].forget, workspace, source, AT_ONCE)
            keys = [row["id"] for row in rows]
            links = Links(connection, workspace, source)
            await links.drop(kind, keys)
            await links.forget_past(kind, keys)
            return len(keys)


async def write_within(
    connection: Connection, workspace: str, source: str, records: Sequence[Record], *, sync: str
) -> Written:
    """As part of the caller's transaction."""
    await connection.execute(ONE_AT_A_TIME, workspace, source)
    by_kind: defaultdict[Kind, list[Record]] = defaultdict(list)
    for record in newest(records):
        by_kind[record.kind].append(record)
    done = Written()
    for kind, of_kind in by_kind.items():
        done += await _write_kind(connection, workspace, source, kind, of_kind, sync)
    return done


async def delete_unseen_within(
    connection: Connection, workspace: str, source: str, kind: Kind, sync: str
) -> int:
    """Some, as part of the caller's transaction; AT_ONCE, where there may be more."""
    await connection.execute(ONE_AT_A_TIME, workspace, source)
    statement = TABLES[kind].delete_unseen
    rows = await connection.fetch(statement, workspace, source, sync, AT_ONCE)
    keys = [row["id"] for row in rows]
    links = Links(connection, workspace, source)
    await links.drop(kind, keys)
    if kind == "pipelines":
        await links.settle(kind, keys)
    return len(keys)


async def _write_kind(
    connection: Connection,
    workspace: str,
    source: str,
    kind: Kind,
    records: list[Record],
    sync: str,
) -> Written:
    table, links = TABLES[kind], Links(connection, workspace, source)
    told = to_json(records).decode()
    await links.note(kind, told)
    rows = await connection.fetch(table.upsert, workspace, source, told, sync)
    changed = [row["id"] for row in rows]
    if len(changed) < len(records):
        seen = [f"{source}:{record.id}" for record in records]
        await connection.execute(table.seen, workspace, seen, sync)
    if changed and kind in DROPS:
        await links.drop(kind, changed)
        await links.forget_past(kind, [row["id"] for row in rows if row["is_deleted"]])
        await links.follow(records, changed)
        await links.settle(kind, changed)
    deleted = sum(row["is_deleted"] and row["was_there"] for row in rows)
    written = sum(not row["is_deleted"] and not (row["same"] and row["was_there"]) for row in rows)
    return Written(written=written, deleted=deleted, unchanged=len(records) - deleted - written)


def newest(records: Iterable[Record]) -> list[Record]:
    """One of each id, as the table would have it after all of them."""
    kept: dict[tuple[Kind, str], Record] = {}
    for record in records:
        key = (record.kind, record.id)
        other = kept.get(key)
        if other is None or (record.modified_at, record.deleted) >= (
            other.modified_at,
            other.deleted,
        ):
            kept[key] = record
    return list(kept.values())
