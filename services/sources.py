"""Where business data comes from: set up, tried, synced and taken away."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from core.connector import Connector, FilesConfig, Page, Preview, Previewing, SourceConfig
from core.crm import Kind, Record
from core.errors import FieldFault, Invalid, PerdureError, Unavailable
from core.flow import Flow
from core.model import Frozen
from core.run import Run, RunOrigin, Trigger
from core.skill import Skill
from core.sync import SYNC, SyncInput
from core.tool import Actor
from services.launch import Beginning, fresh_run_id
from services.paging import page_of
from services.uploads import as_utf8, format_of
from store.source_files import StoredFile as StoredFile
from store.sources import Pass as Pass
from store.sources import SourceRow as SourceRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from core.run import Workspace
    from services.access import Access
    from services.launch import Launch
    from services.live import Live
    from services.workspaces import WorkspaceRow
    from store.crm.records import CRMRecords
    from store.page import Page as ListPage
    from store.runs import Runs
    from store.source_files import SourceFiles
    from store.sources import Sources

SAMPLE = 5
FAULTS = 20
CHECK_WITHIN = timedelta(seconds=60)
ROW_WITHIN_SECONDS = 5.0
# What its runs are of: the workflow is the installation's.
SKILL = Skill(
    name=SYNC,
    description="Brings a source's records here.",
    instructions="",
    flow=Flow(),
    kind="python",
)
VERSION = "built-in"


class Connectors(Protocol):
    def open(
        self, workspace: Workspace, source: str, config: SourceConfig
    ) -> AbstractAsyncContextManager[Connector]: ...


class SyncRequest(Frozen):
    full: bool = False
    announce: bool = True


class Trouble(Frozen):
    code: str
    message: str


class KindCheck(Frozen):
    """How one kind would be read: its first records as they would be kept."""

    kind: Kind
    preview: Preview = Preview()
    sample: tuple[Record, ...] = ()
    faults: tuple[str, ...] = ()
    error: Trouble | None = None


class Checked(Frozen):
    kinds: tuple[KindCheck, ...] = ()
    error: Trouble | None = None

    @property
    def ok(self) -> bool:
        return self.error is None and not any(each.error or each.faults for each in self.kinds)


class Shown(Frozen):
    """A source with how far its syncs came."""

    row: SourceRow
    passes: tuple[Pass, ...]
    files: tuple[StoredFile, ...]
    syncing: str | None


class SourceService:
    def __init__(
        self,
        sources: Sources,
        files: SourceFiles,
        records: CRMRecords,
        connectors: Connectors,
        launch: Launch,
        runs: Runs,
        live: Live,
    ) -> None:
        self._sources = sources
        self._files = files
        self._records = records
        self._connectors = connectors
        self._launch = launch
        self._runs = runs
        self._live = live

    async def create(self, workspace: str, id: str, config: SourceConfig) -> Shown:
        await self._sources.create(workspace, id, config)
        return await self.get(workspace, id)

    async def get(self, workspace: str, id: str) -> Shown:
        row = await self._sources.get(workspace, id)
        return Shown(
            row=row,
            passes=tuple(await self._sources.passes(workspace, id)),
            files=tuple((await self._files.list_current(workspace, id)).values()),
            syncing=await self._sources.under_way(workspace, id),
        )

    async def list_page(
        self, workspace: str, limit: int, cursor: str | None
    ) -> ListPage[SourceRow]:
        rows = await self._sources.list_all(workspace)
        return page_of(rows, lambda row: row.id, limit, cursor)

    async def change(self, workspace: str, id: str, config: SourceConfig) -> Shown:
        """What is read another way is read whole by the next sync."""
        await self._sources.change(workspace, id, config)
        return await self.get(workspace, id)

    async def remove(self, workspace: str, id: str, records: Literal["keep", "delete"]) -> int:
        """How many of its records went with it."""
        await self._sources.require_idle(workspace, id)
        gone = await self._records.forget(workspace, id) if records == "delete" else 0
        await self._sources.delete(workspace, id)
        return gone

    async def upload(
        self,
        workspace: str,
        id: str,
        kind: Kind,
        data: AsyncIterator[bytes],
        *,
        encoding: str | None,
        format: Literal["csv", "jsonl"] | None,
    ) -> StoredFile:
        row = await self._sources.get(workspace, id)
        if not isinstance(row.config, FilesConfig):
            message = f"{id} is read from {row.config.type}: only a source of files takes files"
            raise Invalid(message, [FieldFault(field="id", message=message)])
        text = as_utf8(data, encoding)
        seen, text = await format_of(text)
        return await self._files.put(workspace, id, kind, format or seen, text)

    async def check(self, workspace: WorkspaceRow, id: str) -> Checked:
        """Opens it and reads the first page of each kind; keeps nothing."""
        row = await self._sources.get(workspace.id, id)
        try:
            async with (
                asyncio.timeout(CHECK_WITHIN.total_seconds()),
                self._connectors.open(workspace.workspace, id, row.config) as connector,
            ):
                kinds = [await _checked(connector, kind) for kind in connector.kinds]
        except PerdureError as error:
            return Checked(error=Trouble(code=error.code, message=error.message))
        except TimeoutError:
            message = f"it did not answer within {CHECK_WITHIN.total_seconds():g} s"
            return Checked(error=Trouble(code="source_unavailable", message=message))
        if not kinds:
            message = "there is nothing to read yet: upload a file"
            return Checked(error=Trouble(code="source_empty", message=message))
        return Checked(kinds=tuple(kinds))

    async def sync(
        self,
        workspace: WorkspaceRow,
        id: str,
        request: SyncRequest,
        actor: Actor,
        trigger: Trigger = "manual",
    ) -> Run:
        """A new run, or the one that is under way."""
        run_id = fresh_run_id(f"sync-{id}")
        claimed = await self._sources.claim(workspace.id, id, run_id)
        if claimed != run_id:
            return await self._under_way(workspace, id, claimed)
        task = SyncInput(source=id, full=request.full, announce=request.announce)
        return await self._launch.begin(_beginning(workspace, run_id, task, actor, trigger))

    async def _under_way(self, workspace: WorkspaceRow, id: str, run_id: str) -> Run:
        """Who claimed it writes its row next."""
        waits_until = asyncio.get_running_loop().time() + ROW_WITHIN_SECONDS
        while (run := await self._runs.find(run_id, workspace.id)) is None:
            if asyncio.get_running_loop().time() > waits_until:
                raise Unavailable(f"a sync of {id} is about to begin", run_id=run_id)
            await asyncio.sleep(0.05)
        if not await self._launch.was_left(run):
            return await self._live.current(run)
        task = SyncInput.model_validate(run.inputs)
        await self._launch.start(_beginning(workspace, run_id, task, run.actor, run.trigger))
        return run


def _beginning(
    workspace: WorkspaceRow, run_id: str, task: SyncInput, actor: Actor, trigger: Trigger
) -> Beginning:
    origin = RunOrigin(
        workspace=workspace.workspace,
        skill=SYNC,
        version=VERSION,
        lineage=run_id,
        trigger=trigger,
        actor=actor,
    )
    inputs = task.model_dump(mode="json", exclude={"progress"})
    return Beginning(run_id, origin, SKILL, inputs, label=task.source)


def by(access: Access) -> Actor:
    return Actor(kind="key", id=access.key_id)


async def _checked(connector: Connector, kind: Kind) -> KindCheck:
    """One kind that cannot be read hides no other."""
    preview = Preview()
    try:
        if isinstance(connector, Previewing):
            preview = await connector.preview(kind)
        page: Page = await connector.page(kind, None, None)
    except PerdureError as error:
        return KindCheck(
            kind=kind, preview=preview, error=Trouble(code=error.code, message=error.message)
        )
    return KindCheck(
        kind=kind, preview=preview, sample=page.records[:SAMPLE], faults=page.faults[:FAULTS]
    )
