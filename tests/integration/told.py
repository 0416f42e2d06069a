"""What a source tells of its records, without the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.crm.records import AT_ONCE, CRMRecords, Written, delete_unseen_within, write_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.crm import Kind, Record


class ToldRecords(CRMRecords):
    async def write(
        self, workspace: str, source: str, records: Sequence[Record], *, sync: str
    ) -> Written:
        async with self._pool.transaction() as connection:
            return await write_within(connection, workspace, source, records, sync=sync)

    async def delete_unseen(self, workspace: str, source: str, kind: Kind, *, sync: str) -> int:
        gone, some = 0, AT_ONCE
        while some == AT_ONCE:
            async with self._pool.transaction() as connection:
                some = await delete_unseen_within(connection, workspace, source, kind, sync)
            gone += some
        return gone
