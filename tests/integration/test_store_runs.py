from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from dirty_equals import IsPartialDict

from core.effects import RecordRequest
from core.errors import AlreadyExists, IdempotencyKeyReused, Invalid, NotFound
from core.run import Failure, Run, RunOrigin, RunStatus, Waiting, Workspace
from core.tool import Actor
from store.pool import Pool
from store.runs import NewRun, RunFilter, Runs
from store.sealing import CannotOpen, Keyring

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAME_KEY: dict[str, Any] = {"idempotency_hash": b"key", "request_hash": b"body"}
KEYRING = Keyring({"test": bytes(32)})
SOMEBODY = Actor(kind="key", id="k1")
BROKEN = Failure(code="http_failed", message="marker-message", step="fetch", data={"status": 500})


@pytest.fixture
def runs(pool: Pool) -> Runs:
    return Runs(pool, KEYRING)


def new_run(run_id: str = "r1", workspace: str = "acme", **fields: Any) -> NewRun:
    known = {
        "skill": "greet",
        "version": "v1",
        "trigger": "manual",
        "actor": SOMEBODY,
        "lineage": run_id,
        "created_at": NOON,
    }
    return NewRun.model_validate(known | {"run_id": run_id, "workspace_id": workspace} | fields)


def record(
    status: RunStatus, seq: int, run_id: str = "r1", workspace: str = "acme", **fields: Any
) -> RecordRequest:
    origin = RunOrigin(
        workspace=Workspace(id=workspace, name=workspace.title()),
        skill="greet",
        version="v1",
        lineage="r0",
        trigger="retry",
        actor=SOMEBODY,
        parent="p1",
        given_by="r0",
    )
    at = NOON + timedelta(seconds=seq)
    known = {"started_at": at, **fields}
    return RecordRequest(run=run_id, seq=seq, origin=origin, status=status, at=at, **known)


async def read(runs: Runs, run_id: str = "r1", workspace: str | None = "acme") -> Run:
    run = await runs.find(run_id, workspace)
    assert run is not None
    return run


class TestQueue:
    async def test_a_queued_run_reads_as_it_was_given(self, runs: Runs) -> None:
        given = new_run(
            label="Tuesday",
            subject_kind="card",
            subject_id="c1",
            parent="p1",
            lineage="r0",
            retry_of="r0",
            inputs={"name": "Ada", "nested": [1, {"a": None}]},
        )
        run, outcome = await runs.queue(given)
        assert outcome == "new"
        assert run == await runs.find("r1", "acme") == await runs.find("r1", None)
        elsewhere = {"idempotency_hash", "request_hash", "callback_url"}
        assert run.model_dump() == IsPartialDict(given.model_dump(exclude=elsewhere))
        assert run.status == "queued"
        assert run.started_at is run.completed_at is run.duration_ms is None

    async def test_other_workspaces_do_not_find_it(self, runs: Runs) -> None:
        await runs.queue(new_run())
        assert await runs.find("r1", "globex") is None
        assert await runs.find("r2", "acme") is None

    async def test_same_idempotency_hash_fifty_times_at_once_is_one_run(
        self, runs: Runs, pool: Pool
    ) -> None:
        answers = await asyncio.gather(
            *(runs.queue(new_run(f"r{number}", **SAME_KEY)) for number in range(50))
        )
        assert len({run.run_id for run, _ in answers}) == 1
        assert sorted(outcome for _, outcome in answers) == ["existing"] * 49 + ["new"]
        assert await pool.fetchval("SELECT count(*) FROM runs") == 1

    async def test_a_run_whose_twin_is_being_written_waits_and_gets_it(
        self, runs: Runs, pool: Pool
    ) -> None:
        await runs.queue(new_run("r0"))
        async with pool.transaction() as connection:
            await connection.execute(
                "INSERT INTO runs SELECT (jsonb_populate_record(runs, $1)).* FROM runs",
                {"run_id": "r1"},
            )
            await connection.execute(
                "UPDATE runs SET idempotency_hash = 'key', request_hash = 'body', inputs = NULL"
                " WHERE run_id = 'r1'"
            )
            twin = asyncio.create_task(runs.queue(new_run("r2", **SAME_KEY)))
            async with asyncio.timeout(10):
                while not await pool.fetchval("SELECT bool_or(NOT granted) FROM pg_locks"):
                    await asyncio.sleep(0.01)
        run, outcome = await twin
        assert (run.run_id, outcome) == ("r1", "existing")

    async def test_same_idempotency_hash_gives_the_run_also_after_it_ended(
        self, runs: Runs
    ) -> None:
        await runs.queue(new_run(**SAME_KEY))
        await runs.record(record("succeeded", 1, output="done"))
        run, outcome = await runs.queue(new_run("r2", **SAME_KEY))
        assert (run.run_id, run.status, run.output, outcome) == (
            "r1",
            "succeeded",
            "done",
            "existing",
        )

    async def test_same_idempotency_hash_with_another_request_is_refused(self, runs: Runs) -> None:
        await runs.queue(new_run(**SAME_KEY))
        with pytest.raises(IdempotencyKeyReused) as caught:
            await runs.queue(new_run("r2", idempotency_hash=b"key", request_hash=b"other"))
        assert caught.value.data == {"run": "r1"}
        assert await runs.find("r2", "acme") is None

    async def test_each_workspace_has_idempotency_keys_of_its_own(self, runs: Runs) -> None:
        await runs.queue(new_run(**SAME_KEY))
        run, outcome = await runs.queue(new_run("r2", "globex", **SAME_KEY))
        assert (run.run_id, outcome) == ("r2", "new")

    async def test_runs_without_a_key_are_all_new(self, runs: Runs) -> None:
        assert (await runs.queue(new_run("r1")))[1] == "new"
        assert (await runs.queue(new_run("r2")))[1] == "new"

    async def test_queueing_the_same_run_again_gives_it_back(self, runs: Runs) -> None:
        await runs.queue(new_run(label="first"))
        run, outcome = await runs.queue(new_run(label="second"))
        assert (run.label, outcome) == ("first", "existing")

    async def test_a_run_id_of_another_workspace_is_taken_and_not_shown(self, runs: Runs) -> None:
        await runs.queue(new_run())
        with pytest.raises(AlreadyExists):
            await runs.queue(new_run(workspace="globex"))

    async def test_what_postgres_cannot_store_is_named(self, runs: Runs) -> None:
        with pytest.raises(Invalid):
            await runs.queue(new_run(label="a\x00b"))

    async def test_a_request_finds_the_run_it_began(self, runs: Runs) -> None:
        await runs.queue(new_run(**SAME_KEY))
        await runs.queue(new_run("r2"))
        assert await runs.find_keyed("acme", b"key", b"body") == await runs.find("r1", "acme")
        assert await runs.find_keyed("acme", b"other", b"body") is None
        assert await runs.find_keyed("globex", b"key", b"body") is None
        with pytest.raises(IdempotencyKeyReused):
            await runs.find_keyed("acme", b"key", b"other")


class TestRecord:
    async def test_start_and_end_are_noted_when_they_were(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.record(record("running", 1))
        assert (await read(runs)).started_at == NOON + timedelta(seconds=1)
        await runs.record(record("paused", 2))
        await runs.record(record("succeeded", 3, output={"greeting": "hello"}))
        run = await read(runs)
        assert (run.status, run.output) == ("succeeded", {"greeting": "hello"})
        assert run.started_at == NOON + timedelta(seconds=1)
        assert run.completed_at == NOON + timedelta(seconds=3)
        assert run.duration_ms == 2000

    async def test_a_failure_is_kept_whole(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.record(record("failed", 1, error=BROKEN, output={"partial": True}))
        run = await read(runs)
        assert (run.status, run.error, run.output) == ("failed", BROKEN, {"partial": True})

    async def test_waiting_is_shown_until_it_is_over(self, runs: Runs) -> None:
        await runs.queue(new_run())
        waiting = (
            Waiting(kind="approval", step="ok", message="Send it?"),
            Waiting(kind="timer", step="pause", until=NOON),
        )
        await runs.record(record("waiting", 1, waiting_for=waiting))
        assert (await read(runs)).waiting_for == waiting
        await runs.record(record("running", 2))
        assert (await read(runs)).waiting_for == ()

    async def test_late_and_repeated_records_change_nothing(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.record(record("paused", 2))
        for late in (record("running", 1), record("running", 2), record("succeeded", 1)):
            await runs.record(late)
        assert (await read(runs)).status == "paused"

    async def test_an_ended_run_never_opens_again(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.record(record("cancelled", 1))
        ended = await read(runs)
        await runs.record(record("running", 2))
        assert await read(runs) == ended

    async def test_all_records_at_once_leave_the_last(self, runs: Runs) -> None:
        await runs.queue(new_run())
        statuses: list[RunStatus] = ["running", "waiting", "paused"]
        requests = [record(statuses[seq % 3], seq) for seq in range(30)]
        await asyncio.gather(*(runs.record(request) for request in [*requests[::2], *requests]))
        assert (await read(runs)).status == requests[-1].status

    async def test_a_run_missing_here_is_written_from_its_record(self, runs: Runs) -> None:
        await runs.record(record("running", 4))
        run = await read(runs)
        assert run.model_dump() == IsPartialDict(
            status="running",
            skill="greet",
            version="v1",
            trigger="retry",
            lineage="r0",
            parent="p1",
            retry_of="r0",
            inputs={},
            created_at=NOON + timedelta(seconds=4),
            started_at=NOON + timedelta(seconds=4),
        )
        await runs.record(record("running", 3))
        await runs.record(record("succeeded", 5))
        assert (await read(runs)).status == "succeeded"

    async def test_a_record_of_another_workspace_changes_nothing(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.record(record("failed", 1, workspace="globex", error=BROKEN))
        assert (await read(runs)).status == "queued"
        assert await runs.find("r1", "globex") is None


class TestSettle:
    async def test_a_run_that_ended_unsaid_is_settled(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.record(record("waiting", 1, waiting_for=(Waiting(kind="timer", step="w"),)))
        end = NOON + timedelta(seconds=9)
        assert await runs.settle("r1", "timed_out", end, BROKEN, {"partial": 1})
        run = await read(runs)
        assert (run.status, run.completed_at, run.error) == ("timed_out", end, BROKEN)
        assert (run.output, run.waiting_for, run.duration_ms) == ({"partial": 1}, (), 8000)

    async def test_the_runs_own_word_stays_where_temporal_agrees(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.record(record("succeeded", 1, output="all of it"))
        assert not await runs.settle("r1", "succeeded", NOON + timedelta(days=1), output="less")
        run = await read(runs)
        assert (run.output, run.completed_at) == ("all of it", NOON + timedelta(seconds=1))

    async def test_temporals_word_stands_where_it_differs(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.record(record("succeeded", 1, output="kept"))
        await runs.archive("r1", "acme", [])
        assert await runs.settle("r1", "cancelled", NOON)
        run = await read(runs)
        assert (run.status, run.output) == ("cancelled", "kept")
        assert await runs.unarchived(5) != []

    async def test_a_settled_run_is_not_opened_by_a_late_record(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.settle("r1", "cancelled", NOON)
        await runs.record(record("running", 5))
        assert (await read(runs)).status == "cancelled"

    async def test_only_the_reconciler_opens_a_run_again(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.settle("r1", "failed", NOON, BROKEN)
        await runs.archive("r1", "acme", [])
        assert await runs.settle("r1", "running", None)
        run = await read(runs)
        assert (run.status, run.completed_at, run.error) == ("running", None, None)
        await runs.record(record("succeeded", 1))
        assert (await read(runs)).status == "succeeded"
        assert [run.run_id for run in await runs.unarchived(5)] == ["r1"]

    async def test_an_unknown_run_is_not_news(self, runs: Runs) -> None:
        assert not await runs.settle("nobody", "failed", NOON)

    async def test_an_end_needs_its_time(self, runs: Runs) -> None:
        with pytest.raises(ValueError, match="completed at None"):
            await runs.settle("r1", "failed", None)
        with pytest.raises(ValueError, match="completed at 2026"):
            await runs.settle("r1", "running", NOON)


class TestListPage:
    async def test_pages_are_stable_while_runs_come_and_change(self, runs: Runs) -> None:
        for number in range(7):
            # Three at each moment: the id decides.
            at = NOON + timedelta(minutes=number // 3)
            await runs.queue(new_run(f"r{number}", created_at=at, inputs={"large": "x" * 100}))
        await runs.queue(new_run("theirs", "globex"))
        seen: list[str] = []
        cursor, pages = None, 0
        while pages == 0 or cursor:
            page = await runs.list_page("acme", limit=3, cursor=cursor)
            seen += [run.run_id for run in page.items]
            cursor, pages = page.next_cursor, pages + 1
            later = NOON + timedelta(hours=pages)
            await runs.queue(new_run(f"late{pages}", created_at=later))
            await runs.record(record("running", pages, "r0"))
        assert seen == ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]
        assert pages == 3

    async def test_the_last_page_says_so_when_it_is_full(self, runs: Runs) -> None:
        for number in range(4):
            await runs.queue(new_run(f"r{number}"))
        first = await runs.list_page("acme", limit=2)
        last = await runs.list_page("acme", limit=2, cursor=first.next_cursor)
        assert [run.run_id for run in (*first.items, *last.items)] == ["r3", "r2", "r1", "r0"]
        assert last.next_cursor is None

    async def test_rows_are_light_but_say_why(self, runs: Runs) -> None:
        await runs.queue(new_run(inputs={"a": 1}, label="Tuesday"))
        await runs.record(record("failed", 1, error=BROKEN, output=["partial"]))
        whole = await read(runs)
        [listed] = (await runs.list_page("acme")).items
        assert listed == whole.model_copy(update={"inputs": {}, "output": None})

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            (RunFilter(skill="report"), ["r3"]),
            (RunFilter(status="failed"), ["r2"]),
            (RunFilter(trigger="event"), ["r3"]),
            (RunFilter(since=NOON + timedelta(minutes=2)), ["r3", "r2"]),
            (RunFilter(until=NOON + timedelta(minutes=2)), ["r1"]),
            (RunFilter(skill="greet", status="queued"), ["r1"]),
            (RunFilter(skill="report", status="failed"), []),
            (RunFilter(q="REP"), ["r3"]),
            (RunFilter(q="R2"), ["r2"]),
            (RunFilter(q="100%"), ["r1"]),
            (RunFilter(q="%"), ["r1"]),
            (RunFilter(q="_o"), ["r1"]),
            (RunFilter(q="\\"), ["r1"]),
            (RunFilter(q="http_f"), ["r2"]),
            (RunFilter(q="nothing"), []),
            (RunFilter(q=""), ["r3", "r2", "r1"]),
        ],
    )
    async def test_filters_narrow(
        self, runs: Runs, filters: RunFilter, expected: list[str]
    ) -> None:
        minutes = [NOON + timedelta(minutes=number) for number in range(4)]
        await runs.queue(new_run("r1", created_at=minutes[1], label="100% _of_ a\\b"))
        await runs.queue(new_run("r2", created_at=minutes[2], label="100 of"))
        await runs.queue(new_run("r3", created_at=minutes[3], skill="report", trigger="event"))
        await runs.queue(new_run("theirs", "globex", label="100% report"))
        await runs.record(record("failed", 1, "r2", error=BROKEN))
        page = await runs.list_page("acme", filters)
        assert [run.run_id for run in page.items] == expected

    @pytest.mark.parametrize(
        "cursor", ["x", "é", "e30", "WzFd", "WyJhIiwiYiJd", "WyIyMDI2LTAxLTAxIiwiYiJd", "[" * 9999]
    )
    async def test_a_cursor_that_is_not_ours_is_refused(self, runs: Runs, cursor: str) -> None:
        with pytest.raises(Invalid) as caught:
            await runs.list_page("acme", cursor=cursor)
        assert [fault.field for fault in caught.value.errors] == ["cursor"]

    async def test_a_cursor_of_another_workspace_shows_nothing_of_it(self, runs: Runs) -> None:
        for number in range(3):
            await runs.queue(new_run(f"r{number}"))
        page = await runs.list_page("acme", limit=1)
        assert (await runs.list_page("globex", cursor=page.next_cursor)).items == []


class TestHousekeeping:
    async def test_open_runs_are_walked_in_order_across_workspaces(self, runs: Runs) -> None:
        for number, workspace in enumerate(["acme", "globex", "acme", "acme"]):
            at = NOON + timedelta(minutes=number)
            await runs.queue(new_run(f"r{number}", workspace, created_at=at))
        await runs.record(record("succeeded", 1, "r2"))
        until = NOON + timedelta(minutes=3)
        first = await runs.open_runs(until, limit=1)
        rest = await runs.open_runs(until, limit=5, after=first[-1])
        assert [(run.run_id, run.workspace_id) for run in (*first, *rest)] == [
            ("r0", "acme"),
            ("r1", "globex"),
        ]

    async def test_a_log_is_kept_and_only_its_workspace_reads_it(self, runs: Runs) -> None:
        await runs.queue(new_run())
        assert await runs.unarchived(5) == []
        await runs.record(record("succeeded", 1))
        assert [run.run_id for run in await runs.unarchived(5)] == ["r1"]
        log = [{"id": f"e{number}", "data": {"text": "x" * 50}} for number in range(1000)]
        assert await runs.archived_log("r1", "acme") is None
        await runs.archive("r1", "acme", log)
        assert await runs.archived_log("r1", "acme") == log
        assert await runs.archived_log("r1", "globex") is None
        assert await runs.unarchived(5) == []

    async def test_a_log_is_replaced_by_a_later_one(self, runs: Runs) -> None:
        await runs.queue(new_run())
        await runs.archive("r1", "acme", [{"id": "1"}])
        await runs.archive("r1", "acme", [])
        assert await runs.archived_log("r1", "acme") == []

    async def test_a_log_of_somebody_elses_run_is_not_kept(self, runs: Runs) -> None:
        await runs.queue(new_run())
        with pytest.raises(NotFound):
            await runs.archive("r1", "globex", [])
        assert await runs.archived_log("r1", "acme") is None

    async def test_last_runs_are_the_workspaces_own(self, runs: Runs) -> None:
        for number, skill in enumerate(["greet", "report", "greet", "alarm"]):
            at = NOON + timedelta(minutes=number)
            await runs.queue(new_run(f"r{number}", skill=skill, created_at=at))
        await runs.queue(new_run("theirs", "globex", skill="secretive"))
        assert await runs.last_runs("acme") == {
            "alarm": NOON + timedelta(minutes=3),
            "greet": NOON + timedelta(minutes=2),
            "report": NOON + timedelta(minutes=1),
        }
        assert await runs.last_runs("nobody") == {}


class TestSealing:
    async def test_no_payload_is_readable_in_the_tables(self, runs: Runs, pool: Pool) -> None:
        await runs.queue(new_run(inputs={"marker-name": "marker-value"}))
        waiting = (Waiting(kind="approval", step="ok", message="marker-question"),)
        await runs.record(record("waiting", 1, waiting_for=waiting))
        assert "marker" not in await everything(pool)
        await runs.record(record("failed", 2, error=BROKEN, output="marker-output"))
        await runs.archive("r1", "acme", [{"marker-event": "marker-data"}])
        assert "marker" not in await everything(pool)
        assert "greet" in await everything(pool)

    async def test_a_payload_moved_to_another_row_does_not_open(
        self, runs: Runs, pool: Pool
    ) -> None:
        await runs.queue(new_run(inputs={"a": 1}))
        await runs.queue(new_run("r2", "globex", inputs={"b": 2}))
        stolen = "UPDATE runs SET inputs = (SELECT inputs FROM runs WHERE run_id = 'r1')"
        await pool.execute(f"{stolen} WHERE run_id = 'r2'")
        with pytest.raises(CannotOpen):
            await runs.find("r2", "globex")


async def everything(pool: Pool) -> str:
    """As a reader of a dump sees it; bytes as text, for what is not sealed would show there."""
    rows: list[asyncpg.Record] = []
    for table in ("runs", "run_logs", "attempts"):
        rows += await pool.fetch(f"SELECT * FROM {table}")
    values = [value for row in rows for value in row.values()]
    texts = [v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in values]
    return "\n".join(texts)
