"""Syncs on real Temporal and Postgres, of a source that does what a test says."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from activities.sync import SyncActivities
from core.connector import FilesConfig, Page
from core.crm import Account, Contact, Kind
from core.effects import PAUSE, RESUME
from core.errors import (
    PerdureError,
    SourceBusy,
    SourceRefused,
    SourceRejected,
    SyncTakenOver,
    Unavailable,
)
from core.sync import SYNC, SyncInput, SyncResult
from store.sources import Sources
from tests.integration.told import ToldRecords
from tests.kernel import Kernel, eventually, until
from workflows import sync as workflow_of_syncs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from temporalio.client import WorkflowExecutionDescription

    from core.connector import SourceConfig
    from core.run import Run, Workspace
    from core.tool import Actor

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
Handle = WorkflowHandle[Any, SyncResult]


def account(id: int, hour: int = 0) -> Account:
    return Account(id=str(id), name=f"At {hour}", modified_at=NOON + timedelta(hours=hour))


@dataclass
class Vendor:
    """Pages by kind; `trouble` is raised once each, before the page is told."""

    pages: dict[Kind, list[Page]]
    trouble: list[Exception] = field(default_factory=list[Exception])
    asked: list[tuple[Kind, datetime | None, str | None]] = field(default_factory=list[Any])
    gate: asyncio.Event | None = None
    all_named: bool = True
    told: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list[Any])
    deaf: int = 0

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(self.pages)

    def lists_all(self, kind: Kind, since: datetime | None) -> bool:
        return self.all_named

    async def page(self, kind: Kind, since: datetime | None, cursor: str | None) -> Page:
        self.asked.append((kind, since, cursor))
        if self.trouble:
            raise self.trouble.pop(0)
        if self.gate is not None and len(self.asked) > 1:
            await self.gate.wait()
        place = int(cursor or 0)
        page = self.pages[kind][place]
        last = place == len(self.pages[kind]) - 1
        return page.model_copy(update={"next": None if last else str(place + 1)})

    @asynccontextmanager
    async def open(
        self, workspace: Workspace, source: str, config: SourceConfig
    ) -> AsyncIterator[Vendor]:
        yield self

    async def publish(
        self, workspace: str, event: str, data: dict[str, Any], *, id: str | None, actor: Actor
    ) -> None:
        if self.deaf:
            self.deaf -= 1
            raise Unavailable("nobody listens")
        self.told.append((event, data, id))


@pytest.fixture
async def sources(kernel: Kernel) -> Sources:
    sources = Sources(kernel.pool)
    await sources.create(kernel.workspace.id, "crm", FilesConfig())
    return sources


def syncing(
    kernel: Kernel, vendor: Vendor, slice: timedelta = timedelta(seconds=4), sources: Any = None
) -> Kernel:
    syncs = SyncActivities(
        sources or Sources(kernel.pool), vendor, vendor, kernel.parts.attempts, slice
    )
    return replace(kernel, syncs=syncs)


async def start(kernel: Kernel, **asked: Any) -> Handle:
    """Before there is a worker: who holds the claim may write."""
    task = SyncInput(source="crm", **asked)
    handle = await kernel.start_type(SYNC, task)
    await Sources(kernel.pool).claim(kernel.workspace.id, "crm", handle.id)
    return handle


async def synced(kernel: Kernel, **asked: Any) -> SyncResult:
    handle = await start(kernel, **asked)
    async with kernel.worker():
        result = await handle.result()
        await kernel.ended(handle)
    return SyncResult.model_validate(result)


async def failed(kernel: Kernel, **asked: Any) -> Run:
    handle = await start(kernel, **asked)
    async with kernel.worker():
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        return await kernel.ended(handle)


async def names(kernel: Kernel) -> dict[str, str]:
    rows = await kernel.pool.fetch("SELECT id, name FROM crm_accounts WHERE deleted_at IS NULL")
    return {row["id"].removeprefix("crm:"): row["name"] for row in rows}


async def log(kernel: Kernel, run: Run, kind: str) -> list[Any]:
    return [event for event in await kernel.histories.log(run) if event.kind == kind]


async def test_a_sync_brings_what_there_is_and_then_what_has_changed(
    kernel: Kernel, sources: Sources
) -> None:
    vendor = Vendor(
        {"accounts": [Page(records=(account(1), account(2))), Page(faults=("line 9",))]}
    )
    vendor.pages["contacts"] = [Page(records=(Contact(id="c", modified_at=NOON),))]
    kernel = syncing(kernel, vendor)
    first = await synced(kernel)
    assert (first.records, first.since, first.faults) == (3, None, ("line 9",))
    assert first.by_type["accounts"].model_dump() == {
        "read": 2, "written": 2, "deleted": 0, "unchanged": 0, "faults": 1,
    }  # fmt: skip
    assert [since for _, since, _ in vendor.asked] == [None] * 3

    vendor.asked.clear()
    vendor.pages = {"accounts": [Page(records=(account(2, 3), account(3, 2)))]}
    second = await synced(kernel)
    assert second.by_type["accounts"].written == 2
    assert vendor.asked == [("accounts", NOON - timedelta(minutes=10), None)]
    assert second.since == NOON - timedelta(minutes=10)
    assert await names(kernel) == {"2": "At 3", "3": "At 2"}


async def test_what_is_known_never_lies_ahead_of_the_clock(
    kernel: Kernel, sources: Sources
) -> None:
    """Else a record that is dated wrongly would hide all that changes until then."""
    ahead = Account(id="1", modified_at=datetime.now(UTC) + timedelta(days=900))
    kernel = syncing(kernel, Vendor({"accounts": [Page(records=(ahead,))]}))
    await synced(kernel)
    (known,) = await sources.passes(kernel.workspace.id, "crm")
    assert known.known_to is not None
    assert known.known_to < datetime.now(UTC)


async def test_a_full_sync_finds_out_what_is_gone(kernel: Kernel, sources: Sources) -> None:
    vendor = Vendor({"accounts": [Page(records=(account(1), account(2)))]})
    kernel = syncing(kernel, vendor)
    await synced(kernel)
    vendor.pages = {"accounts": [Page(records=(account(1),))]}
    vendor.all_named = False
    assert (await synced(kernel)).by_type["accounts"].deleted == 0
    vendor.all_named = True
    full = await synced(kernel, full=True)
    assert (full.by_type["accounts"].deleted, full.since) == (1, None)
    assert await names(kernel) == {"1": "At 0"}


async def test_nothing_is_taken_for_gone_where_a_row_could_not_be_read(
    kernel: Kernel, sources: Sources
) -> None:
    vendor = Vendor({"accounts": [Page(records=(account(1), account(2)))]})
    kernel = syncing(kernel, vendor)
    await synced(kernel)
    vendor.pages = {"accounts": [Page(records=(account(1),), faults=("2 is broken",)), Page()]}
    assert (await synced(kernel)).by_type["accounts"].deleted == 0
    assert await names(kernel) == {"1": "At 0", "2": "At 0"}


async def test_the_log_shows_how_each_kind_goes_on(kernel: Kernel, sources: Sources) -> None:
    vendor = Vendor({"accounts": [Page(records=(account(n),)) for n in range(3)]})
    kernel = syncing(kernel, vendor, slice=timedelta(0))
    handle = await start(kernel)
    async with kernel.worker():
        await handle.result()
        run = await kernel.ended(handle)
    begun = await log(kernel, run, "step.started")
    assert [event.step for event in begun][:2] == ["plan", "accounts"]
    assert begun[1].data == {"kind": "sync", "source": "crm", "type": "accounts"}
    ends = [
        event.data["output"]
        for event in await log(kernel, run, "step.finished")
        if event.step.startswith("accounts")
    ]
    assert [end["tally"]["read"] for end in ends] == [1, 2, 3, 3]
    assert ends[-1]["is_done"]


async def test_a_busy_source_is_asked_again_as_late_as_it_wants(
    kernel: Kernel, sources: Sources
) -> None:
    busy = SourceBusy("too many requests", retry_after=timedelta(seconds=2))
    vendor = Vendor({"accounts": [Page(records=(account(1),))]}, trouble=[busy])
    kernel = syncing(kernel, vendor)
    began = asyncio.get_running_loop().time()
    handle = await start(kernel)
    async with kernel.worker():
        await handle.result()
        run = await kernel.ended(handle)
    assert asyncio.get_running_loop().time() - began >= 2
    (retried,) = await log(kernel, run, "step.retrying")
    assert retried.data["code"] == "source_busy"


@pytest.mark.parametrize("error", [SourceRefused("the token was refused"), SourceRejected("no")])
async def test_what_no_patience_mends_fails_the_sync_at_once(
    kernel: Kernel, sources: Sources, error: PerdureError
) -> None:
    vendor = Vendor({"accounts": [Page()]}, trouble=[error])
    run = await failed(syncing(kernel, vendor))
    assert run.error is not None
    assert (run.error.code, run.error.message, run.error.step) == (
        error.code,
        error.message,
        "accounts",
    )
    assert len(vendor.asked) == 1
    assert vendor.told == []


async def test_an_unexpected_error_is_told_without_its_words(
    kernel: Kernel, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.sync.MOST_UNREADABLE", 2)
    trouble = [ValueError("hush-hush")] * 2
    run = await failed(syncing(kernel, Vendor({"accounts": [Page()]}, trouble=[*trouble])))
    assert run.error is not None
    assert run.error.message == "something unexpected: ValueError"
    assert run.error.attempts == 2


async def test_a_page_that_failed_is_read_again_from_where_the_last_one_ended(
    kernel: Kernel, sources: Sources
) -> None:
    """What was written before it is neither lost nor asked for again."""
    vendor = Vendor({"accounts": [Page(records=(account(n),)) for n in range(4)]})

    class Breaking(Sources):
        broken = 0

        async def write_page(self, *given: Any) -> Any:
            done = await super().write_page(*given)
            if done.page == 2 and not self.broken:
                self.broken = 1
                raise Unavailable("the answer got lost")
            return done

    kernel = syncing(kernel, vendor, sources=Breaking(kernel.pool))
    result = await synced(kernel)
    assert result.by_type["accounts"].read == 4
    assert result.by_type["accounts"].written == 4
    assert [cursor for _, _, cursor in vendor.asked] == [None, "1", "2", "3"]


async def test_a_page_written_by_another_attempt_is_not_written_again(
    kernel: Kernel, sources: Sources
) -> None:
    place = kernel.workspace.id, "crm"
    await sources.claim(*place, "r1")
    await sources.begin(*place, "r1", ("accounts",), "new")
    at = await sources.current_pass(*place, "accounts", "r1")
    page = Page(records=(account(1),), next="1")
    first, second = await asyncio.gather(
        sources.write_page(*place, at, page, "sweep"), sources.write_page(*place, at, page, "sweep")
    )
    assert first == second
    assert (first.page, first.tally.read, first.cursor) == (1, 1, "1")


async def test_who_was_taken_over_writes_nothing_more(kernel: Kernel, sources: Sources) -> None:
    place = kernel.workspace.id, "crm"
    await sources.claim(*place, "r1")
    await sources.begin(*place, "r1", ("accounts",), "new")
    old = await sources.current_pass(*place, "accounts", "r1")
    await kernel.pool.execute("UPDATE sources SET claimed_at = now() - interval '1 hour'")
    assert await sources.claim(*place, "r2") == "r2"
    with pytest.raises(SyncTakenOver):
        await sources.begin(*place, "r1", ("accounts",), "new")
    await sources.begin(*place, "r2", ("accounts",), "new")
    with pytest.raises(SyncTakenOver):
        await sources.write_page(*place, old, Page(records=(account(1),)), "sweep")
    assert await names(kernel) == {}


async def test_of_many_syncs_asked_for_at_once_one_begins(kernel: Kernel, sources: Sources) -> None:
    asked = [f"r{number}" for number in range(8)]
    claims = (sources.claim(kernel.workspace.id, "crm", run) for run in asked)
    assert len(set(await asyncio.gather(*claims))) == 1


def nothing_is_under_way(run: WorkflowExecutionDescription) -> bool:
    told = run.raw_description
    return not told.pending_activities and not told.HasField("pending_workflow_task")


async def test_a_paused_sync_reads_nothing_until_it_is_resumed(
    kernel: Kernel, sources: Sources
) -> None:
    vendor = Vendor(
        {
            "accounts": [Page(records=(account(1),)), Page(records=(account(2),))],
            "contacts": [Page()],
        }
    )
    vendor.gate = asyncio.Event()
    kernel = syncing(kernel, vendor, slice=timedelta(0))
    handle = await start(kernel)
    async with kernel.worker():
        await until(lambda: len(vendor.asked) == 2)
        await handle.signal(PAUSE, {"actor": {"kind": "user", "id": "ada"}})
        await kernel.status(handle, "paused")
        vendor.gate.set()
        await eventually(handle.describe, nothing_is_under_way)
        assert len(vendor.asked) == 2
        await handle.signal(RESUME, {"actor": {"kind": "user", "id": "ada"}})
        await handle.result()
    assert await names(kernel) == {"1": "At 0", "2": "At 0"}


async def test_a_cancelled_sync_keeps_what_it_wrote_and_the_next_begins_anew(
    kernel: Kernel, sources: Sources
) -> None:
    vendor = Vendor({"accounts": [Page(records=(account(n),)) for n in range(3)]})
    vendor.gate = asyncio.Event()
    kernel = syncing(kernel, vendor)
    handle = await start(kernel)
    async with kernel.worker():
        await until(lambda: len(vendor.asked) == 2)
        await handle.cancel()
        run = await kernel.ended(handle)
    assert run.status == "cancelled"
    assert await names(kernel) == {"0": "At 0"}
    assert vendor.told == []
    vendor.gate.set()
    result = await synced(kernel)
    assert result.by_type["accounts"].written == 2
    assert result.by_type["accounts"].unchanged == 1


async def test_a_long_sync_goes_on_with_a_fresh_history(
    kernel: Kernel, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow_of_syncs, "SLICES_IN_A_HISTORY", 2)
    kinds: tuple[Kind, ...] = ("owners", "accounts", "contacts")
    vendor = Vendor({kind: [Page(), Page()] for kind in kinds})
    vendor.pages["accounts"] = [Page(records=(account(n),)) for n in range(5)]
    kernel = syncing(kernel, vendor, slice=timedelta(0))
    handle = await start(kernel)
    async with kernel.worker():
        result = SyncResult.model_validate(await handle.result())
        run = await kernel.ended(handle)
    assert result.by_type["accounts"].written == 5
    assert list(result.by_type) == list(kinds)
    assert len(vendor.told) == 1
    steps = [event.step for event in await log(kernel, run, "step.finished")]
    assert len(steps) == len(set(steps))


async def test_the_end_is_told_once_with_what_came_of_it(kernel: Kernel, sources: Sources) -> None:
    vendor = Vendor({"accounts": [Page(records=(account(1),), faults=("x",))]}, deaf=2)
    kernel = syncing(kernel, vendor)
    handle = await start(kernel)
    async with kernel.worker():
        await handle.result()
        await kernel.ended(handle)
    ((event, data, id),) = vendor.told
    assert (event, id) == ("sync_completed", handle.id)
    assert data == {
        "source": "crm",
        "records": 1,
        "by_type": {
            "accounts": {"read": 1, "written": 1, "deleted": 0, "unchanged": 0, "faults": 1}
        },
        "since": None,
        "run_id": handle.id,
    }


async def test_nobody_is_told_where_that_was_asked(kernel: Kernel, sources: Sources) -> None:
    vendor = Vendor({"accounts": [Page()]})
    await synced(syncing(kernel, vendor), announce=False)
    assert vendor.told == []


async def test_a_removed_source_ends_its_sync(kernel: Kernel, sources: Sources) -> None:
    vendor = Vendor({"accounts": [Page(), Page()]})
    handle = await start(kernel)
    await kernel.pool.execute("DELETE FROM sources")
    async with syncing(kernel, vendor).worker():
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        run = await kernel.ended(handle)
    assert run.error is not None
    assert run.error.code == "not_found"


async def test_records_and_passes_of_another_workspace_are_not_seen(
    kernel: Kernel, sources: Sources
) -> None:
    await kernel.pool.execute("INSERT INTO workspaces (id, name) VALUES ('other', 'Other')")
    await sources.create("other", "crm", FilesConfig())
    await ToldRecords(kernel.pool).write("other", "crm", [account(7)], sync="s")
    vendor = Vendor({"accounts": [Page(records=(account(1),))]})
    result = await synced(syncing(kernel, vendor))
    assert result.by_type["accounts"].deleted == 0
    assert await sources.passes("other", "crm") == []
    assert await sources.under_way("other", "crm") is None
    live = await kernel.pool.fetchval(
        "SELECT count(*) FROM crm_accounts WHERE workspace_id = 'other' AND deleted_at IS NULL"
    )
    assert live == 1
