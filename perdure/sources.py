from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from perdure.errors import BadUsage
from perdure.model import Page
from perdure.run import Started
from perdure.source import CheckedSource, RemovedSource, Source, SourceFile, SourceSummary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from perdure.connection import Connection
    from perdure.wire import Wire

# Large files and large tables take their time.
PATIENCE = timedelta(minutes=10)
PIECE = 256 * 1024


class Sources:
    def __init__(self, wire: Wire, connection: Connection) -> None:
        self._wire = wire
        self._connection = connection

    async def list_page(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[SourceSummary]:
        page = {"limit": limit, "cursor": cursor}
        answer = await self._wire.get(self._connection.below("sources"), page)
        return Page[SourceSummary].read(answer)

    async def get(self, id: str) -> Source:
        return Source.read(await self._wire.get(self._connection.below("sources", id)))

    async def add(self, id: str, config: Mapping[str, Any]) -> Source:
        body = {"id": id, "config": dict(config)}
        answer = await self._wire.send("POST", self._connection.below("sources"), json=body)
        return Source.read(answer)

    async def change(self, id: str, config: Mapping[str, Any]) -> Source:
        """The whole config; the next sync reads all there is."""
        path = self._connection.below("sources", id)
        return Source.read(await self._wire.send("PATCH", path, json={"config": dict(config)}))

    async def upload(
        self,
        id: str,
        kind: str,
        file: Path,
        *,
        format: Literal["csv", "jsonl"] | None = None,
        encoding: str | None = None,
    ) -> SourceFile:
        """Sends the file piece by piece, however large it is."""
        if not await asyncio.to_thread(file.is_file):
            raise BadUsage(f"there is no file {file}")
        answer = await self._wire.send(
            "PUT",
            self._connection.below("sources", id, "files", kind),
            content=FileBody(file),
            params={"format": format, "encoding": encoding},
            headers={"Content-Type": "application/octet-stream"},
            patience=PATIENCE,
        )
        return SourceFile.read(answer)

    async def check(self, id: str) -> CheckedSource:
        path = self._connection.below("sources", id, "check")
        return CheckedSource.read(await self._wire.send("POST", path, patience=PATIENCE))

    async def sync(
        self,
        id: str,
        *,
        reading: Literal["changes", "all"] = "changes",
        announce: Literal["yes", "no"] = "yes",
    ) -> Started:
        """The run that was started, or the one that is under way."""
        body = {"full": reading == "all", "announce": announce == "yes"}
        path = self._connection.below("sources", id, "sync")
        return Started.read(await self._wire.send("POST", path, json=body))

    async def remove(self, id: str, records: Literal["keep", "delete"] = "keep") -> RemovedSource:
        path = self._connection.below("sources", id)
        params = {"records": records}
        answer = await self._wire.send("DELETE", path, params=params, patience=PATIENCE)
        return RemovedSource.read(answer)


class FileBody:
    """Can be sent again from its beginning, where a connection broke."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        with self._file.open("rb") as opened:
            while piece := await asyncio.to_thread(opened.read, PIECE):
                yield piece
