from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import Client

from dev import ports
from services.history import Histories
from services.links import Links
from services.live import Live
from services.reconciler import Reconciler
from services.temporal import converter
from store.attempts import Attempts
from store.leader import Leadership
from store.sealing import Keyring
from tests.gateway import ASKS, ECHO, HELD, Caller, Site
from tests.kernel import KEYS, eventually

if TYPE_CHECKING:
    from store.pool import Pool


async def row(site: Site, run_id: str) -> Any:
    return await site.kernel.runs.find(run_id, None)


async def age(site: Site, run_id: str, seconds: int) -> None:
    await site.kernel.pool.execute(
        "UPDATE runs SET created_at = created_at - make_interval(secs => $2) WHERE run_id = $1",
        run_id,
        float(seconds),
    )


async def held(site: Site, owner: Caller) -> str:
    await owner.upload("held", HELD)
    await site.work()
    run_id = await owner.started("held")
    await site.kernel.world.arrives("gate")
    return run_id


async def rounds_until(site: Site, run_id: str, status: str) -> Any:
    async def after_a_round() -> Any:
        await site.gateway.reconciler.round()
        return await row(site, run_id)

    return await eventually(after_a_round, lambda run: run.status == status)


async def test_a_terminated_run_is_settled(site: Site, owner: Caller) -> None:
    run_id = await held(site, owner)
    await site.kernel.client.get_workflow_handle(run_id).terminate("enough")
    run = await rounds_until(site, run_id, "failed")
    assert run.error.code == "terminated"
    assert run.completed_at is not None
    site.kernel.world.open.add("gate")


async def test_a_run_that_timed_out_is_settled(site: Site, owner: Caller) -> None:
    run_id = "held-timed-out"
    await owner.upload("held", HELD)
    started = await owner.started("held")
    described = await site.kernel.client.get_workflow_handle(started).describe()
    origin = (await described.memo())["perdure"]
    await site.kernel.client.start_workflow(
        "held",
        id=run_id,
        task_queue=site.kernel.task_queue,
        run_timeout=timedelta(seconds=1),
        memo={"perdure": origin},
        search_attributes=described.typed_search_attributes,
    )
    await site.kernel.pool.execute(
        "UPDATE runs SET run_id = $1, inputs = NULL WHERE run_id = $2", run_id, started
    )
    run = await rounds_until(site, run_id, "timed_out")
    assert run.completed_at is not None


async def test_an_end_whose_record_was_lost_is_told_with_its_output(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    run_id = (await owner.start("talk", {}, Prefer="wait=20")).json()["run_id"]
    await site.kernel.pool.execute(
        "UPDATE runs SET status = 'running', completed_at = NULL, output = NULL WHERE run_id = $1",
        run_id,
    )
    await age(site, run_id, 10)
    run = await rounds_until(site, run_id, "succeeded")
    assert run.output == "hello"


async def test_a_run_that_never_began_is_told(
    site: Site, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owner.upload("talk", ECHO)

    async def crash(*_: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr("services.starter.Starter.start", crash)
        await owner.start("talk")
    (left,) = (await owner.http.get(f"{owner.home}/runs")).json()["items"]
    await age(site, left["run_id"], 30)
    await site.gateway.reconciler.round()
    assert (await row(site, left["run_id"])).status == "queued"
    await age(site, left["run_id"], 60)
    await site.gateway.reconciler.round()
    run = await row(site, left["run_id"])
    assert (run.status, run.error.code) == ("failed", "never_started")
    await site.gateway.reconciler.round()
    assert await site.kernel.runs.archived_log(run.run_id, owner.workspace) == []


async def test_a_run_that_waits_for_a_worker_is_left_alone(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    await age(site, run_id, 3600)
    await site.gateway.reconciler.round()
    assert (await row(site, run_id)).status == "queued"


async def test_a_row_that_lost_what_it_was_told_is_mended(site: Site, owner: Caller) -> None:
    await owner.upload("asks", ASKS)
    await site.work()
    run_id = await owner.started("asks")
    await owner.status(run_id, "waiting")
    await site.kernel.pool.execute(
        "UPDATE runs SET status = 'queued', waiting_for = NULL WHERE run_id = $1", run_id
    )
    await age(site, run_id, 10)
    assert (await owner.run(run_id))["waiting_for"][0]["step"] == "sign"
    await site.gateway.reconciler.round()
    assert (await row(site, run_id)).status == "queued"
    await site.gateway.reconciler.round()
    assert (await row(site, run_id)).status == "waiting"
    await owner.act(run_id, "approve")
    await owner.ended(run_id)


async def test_logs_of_ended_runs_are_stored(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    run_id = (await owner.start("talk", {}, Prefer="wait=20")).json()["run_id"]

    async def stored() -> Any:
        await site.gateway.reconciler.round()
        return await site.kernel.runs.archived_log(run_id, owner.workspace)

    log = await eventually(stored, bool)
    assert log[-1]["kind"] == "run.succeeded"


async def test_temporal_away_settles_nothing(site: Site, owner: Caller, pool: Pool) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    await age(site, run_id, 3600)
    away = await Client.connect(
        f"127.0.0.1:{ports.free()}", data_converter=converter(KEYS), lazy=True
    )
    histories = Histories(away, Attempts(pool, Keyring(KEYS)), site.kernel.runs)
    live = Live(away, histories, Links("perdure"))
    leadership = Leadership(pool, "test")
    reconciler = Reconciler(leadership, site.kernel.runs, live, histories)
    with pytest.raises(Exception, match="Temporal"):
        await reconciler.round()
    assert (await row(site, run_id)).status == "queued"
