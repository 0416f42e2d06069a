"""Events by HTTP: what they start, once, and what is told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import Unavailable
from core.tool import Actor
from services.launch import Launch
from store.pool import Pool
from tests.gateway import Caller, Site
from tests.kernel import eventually

TELLER = Actor(kind="key", id="teller")
COUNTS = """\
inputs:
  days: {type: integer, default: 14, minimum: 1}
triggers:
  - event: sync_completed
    when: event.data.records > 0
    with: {days: "${event.data.days}"}
steps:
  - id: said
    compute: watched
    with: {value: "${event.name} of ${event.data.records} in ${workspace.name}: ${inputs.days}"}
"""
GREETS = """\
triggers: [{event: sync_completed}]
steps: [{id: hi, compute: watched, with: {value: 1}}]
"""


def sync(records: int = 3, days: int = 7, **more: Any) -> dict[str, Any]:
    return {"event": "sync_completed", "data": {"records": records, "days": days}, **more}


async def told(caller: Caller, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    body = {"workspace_id": caller.workspace, **body}
    answer = await caller.http.post("/api/webhooks/events", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def listed(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = await caller.http.get(f"{caller.home}/events", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_an_event_starts_the_skills_that_want_it(site: Site, owner: Caller) -> None:
    await owner.upload("counts", COUNTS)
    await owner.upload("greets", GREETS)
    await owner.upload("other", GREETS.replace("sync_completed", "sync_completed.twice"))
    await site.work()
    answer = await told(owner, sync())
    runs = {each["skill_id"]: each["run_id"] for each in answer["skills_triggered"]}
    assert set(runs) == {"counts", "greets"}
    assert answer["skipped"] == []
    run = await owner.ended(runs["counts"])
    assert run["output"] == "sync_completed of 3 in Test: 7"
    assert (run["trigger"], run["inputs"]) == ("event", {"days": 7})
    assert run["actor"] == {"kind": "system", "id": "event"}


async def test_a_skill_that_does_not_start_says_why(site: Site, owner: Caller) -> None:
    await owner.upload("counts", COUNTS)
    none = await told(owner, sync(records=0))
    odd = await told(owner, {"event": "sync_completed", "data": {"records": "many"}})
    wrong = await told(owner, sync(days=0))
    assert [each["skills_triggered"] for each in (none, odd, wrong)] == [[], [], []]
    told_of = [each["skipped"][0] for each in (none, odd, wrong)]
    assert [each["code"] for each in told_of] == [
        "not_wanted",
        "expression_failed",
        "invalid_inputs",
    ]
    assert told_of[0]["message"] == "`when` is not true: event.data.records > 0"
    assert told_of[2]["message"].startswith("inputs.days: ")


async def test_the_same_id_is_the_same_event_for_ever(
    site: Site, owner: Caller, pool: Pool
) -> None:
    await owner.upload("counts", COUNTS)
    first = await told(owner, sync(id="crm-1"))
    await owner.http.delete(f"{owner.home}/skills/counts")
    assert await told(owner, sync(id="crm-1")) == first
    refused = await told(owner, sync(records=4, id="crm-1"), 409)
    assert refused["code"] == "idempotency_key_reused"
    assert (await told(owner, sync(id="crm-2")))["skills_triggered"] == []
    assert await pool.fetchval("SELECT count(*) FROM runs") == 1


async def test_an_event_told_many_times_at_once_starts_once(site: Site, owner: Caller) -> None:
    await owner.upload("counts", COUNTS)
    await owner.upload("greets", GREETS)
    answers = await asyncio.gather(*(told(owner, sync(id="crm-1")) for _ in range(12)))
    assert all(answer == answers[0] for answer in answers)
    for each in answers[0]["skills_triggered"]:
        await site.kernel.client.get_workflow_handle(each["run_id"]).describe()
    assert len((await owner.http.get(f"{owner.home}/runs")).json()["items"]) == 2


async def test_without_an_id_each_is_another_event(site: Site, owner: Caller) -> None:
    await owner.upload("greets", GREETS)
    first, second = await told(owner, sync()), await told(owner, sync())
    assert first["event_id"] != second["event_id"]
    assert first["skills_triggered"] != second["skills_triggered"]


async def test_what_was_not_started_before_a_kill_is_started_afterwards(
    site: Site, owner: Caller, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the row and the start, and between one start and the next."""
    await owner.upload("counts", COUNTS)
    await owner.upload("greets", GREETS)
    start, begun = Launch.start, 0

    async def dies(self: Launch, beginning: Any) -> None:
        nonlocal begun
        begun += 1
        if begun > 1:
            raise Unavailable("Temporal is away")
        await start(self, beginning)

    monkeypatch.setattr(Launch, "start", dies)
    answer = await told(owner, sync(id="crm-1"))
    counts, greets = (each["run_id"] for each in answer["skills_triggered"])
    monkeypatch.undo()
    await site.work()
    assert (await owner.ended(counts))["status"] == "succeeded"
    assert (await owner.run(greets))["status"] == "queued"
    # Nobody may call it lost, however long Temporal was away.
    await pool.execute("UPDATE runs SET created_at = now() - interval '1 hour'")
    await pool.execute("UPDATE events SET at = now() - interval '1 minute'")
    await site.gateway.reconciler.round()
    assert (await owner.ended(greets))["status"] == "succeeded"
    assert (await listed(owner))[0]["dispatched_at"] is not None
    assert site.kernel.world.calls == {"said": 1, "hi": 1}


async def test_what_could_not_even_be_planned_is_started_afterwards(
    site: Site, owner: Caller, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owner.upload("greets", GREETS)

    async def dies(*_: Any) -> Any:
        raise Unavailable("Postgres does not answer")

    monkeypatch.setattr(type(site.gateway.events), "_planned", dies)
    assert (await told(owner, sync(id="crm-1"), 503))["code"] == "unavailable"
    monkeypatch.undo()
    [left] = await listed(owner)
    assert (left["dispatched_at"], left["skills_triggered"]) == (None, [])
    await pool.execute("UPDATE events SET at = now() - interval '1 minute'")
    await site.gateway.events.finish_left()
    [done] = await listed(owner)
    assert [each["skill_id"] for each in done["skills_triggered"]] == ["greets"]
    assert (await told(owner, sync(id="crm-1")))["skills_triggered"] == done["skills_triggered"]


async def test_a_skill_that_this_release_cannot_read_keeps_no_other_from_starting(
    site: Site, owner: Caller, pool: Pool
) -> None:
    await owner.upload("counts", COUNTS)
    await owner.upload("greets", GREETS)
    await pool.execute(
        'UPDATE skill_versions SET skill = replace(skill, \'"kind":"compute"\', \'"kind":"x"\') '
        "WHERE name = 'counts'"
    )
    answer = await told(owner, sync())
    assert [each["skill_id"] for each in answer["skills_triggered"]] == ["greets"]
    assert [(each["skill_id"], each["code"]) for each in answer["skipped"]] == [
        ("counts", "invalid_skill")
    ]


async def test_a_retry_knows_the_event_too(site: Site, owner: Caller) -> None:
    await owner.upload(
        "fragile",
        "triggers: [{event: signed}]\n"
        "steps: [{id: a, compute: watched, "
        'with: {value: "${event.data.deal}", fail: for_good}}]',
    )
    await site.work()
    answer = await told(owner, {"event": "signed", "data": {"deal": "D-1"}})
    run_id = answer["skills_triggered"][0]["run_id"]
    assert (await owner.ended(run_id))["status"] == "failed"
    for _ in range(2):  # a retry of a retry as well
        site.kernel.world.mended = True
        run_id = (await owner.act(run_id, "retry", inputs={})).json()["run_id"]
        assert (await owner.ended(run_id))["output"] == "D-1"


async def test_runs_that_start_each_other_by_events_come_to_an_end(
    site: Site, owner: Caller
) -> None:
    """As a tool of theirs would tell it: in the name of the run."""
    await owner.upload("greets", GREETS)
    teller, started = TELLER, 0
    while True:
        published = await site.gateway.events.publish(
            owner.workspace, "sync_completed", {}, id=None, actor=teller
        )
        if not published.triggered:
            break
        started += 1
        teller = Actor(kind="system", id=published.triggered[0].run_id)
    assert started == 9
    assert [each.code for each in published.skipped] == ["too_deep"]


async def test_a_run_that_waits_is_shown_waiting_and_goes_on_with_the_event(
    site: Site, owner: Caller
) -> None:
    await owner.upload(
        "waits",
        "steps:\n"
        "  - {id: signed, wait: {event: deal_signed, when: event.data.deal == 'D-1', for: 3d}}\n"
        '  - {id: said, compute: echo, with: {value: "${steps.signed.data.amount}"}}\n',
    )
    await site.work()
    run_id = await owner.started("waits")
    shown = await owner.status(run_id, "waiting")
    [waiting] = shown["waiting_for"]
    assert (waiting["kind"], waiting["step"]) == ("event", "signed")
    assert waiting["message"] == "deal_signed, when event.data.deal == 'D-1'"
    assert waiting["until"] is not None
    assert [(step["path"], step["status"]) for step in shown["steps"]] == [("signed", "waiting")]
    await told(owner, {"event": "deal_signed", "data": {"deal": "D-2", "amount": 1}})
    await told(owner, {"event": "deal_signed", "data": {"deal": "D-1", "amount": 2}})
    run = await owner.ended(run_id)
    assert run["output"] == 2
    assert [step["status"] for step in run["steps"]] == ["succeeded", "succeeded"]


async def test_events_are_listed_newest_first_with_what_they_started(
    site: Site, owner: Caller
) -> None:
    await owner.upload("greets", GREETS)
    await told(owner, {"event": "signed", "data": {"deal": "D-1"}, "id": "crm-7"})
    for number in range(3):
        await told(owner, sync(records=number))
    whole = await listed(owner)
    assert [each["name"] for each in whole] == [*["sync_completed"] * 3, "signed"]
    assert [each["skills_triggered"][0]["skill_id"] for each in whole[:3]] == ["greets"] * 3
    [signed] = await listed(owner, name="signed")
    assert await listed(owner, id="crm-7") == [signed]
    assert await listed(owner, id="crm-8") == []
    shown = (await owner.http.get(f"{owner.home}/events/{signed['id']}")).json()
    assert shown == {**signed, "data": {"deal": "D-1"}}
    page = (await owner.http.get(f"{owner.home}/events?limit=3")).json()
    rest = await listed(owner, cursor=page["next_cursor"])
    assert [*page["items"], *rest] == whole


async def test_bad_events_are_refused_by_field(site: Site, owner: Caller) -> None:
    for body, field in (
        ({"event": "Signed"}, "event"),
        ({"event": "signed", "data": [1]}, "data"),
        ({"event": "signed", "data": {"text": "x" * 256 * 1024}}, "data"),
        ({"event": "signed", "id": ""}, "id"),
        ({"event": "signed", "evnt": 1}, "evnt"),
    ):
        refused = await told(owner, body, 422)
        assert [each["field"] for each in refused["errors"]] == [field]
    named = await told(owner, {"event": "deal-signed"}, 422)
    assert "such as `deal_signed`" in named["errors"][0]["message"]
    assert await listed(owner) == []


async def test_another_tenant_sees_and_starts_nothing(site: Site, owner: Caller) -> None:
    await owner.upload("greets", GREETS)
    mine = await told(owner, sync(id="crm-1"))
    theirs = await site.with_scopes(workspace=await site.new_workspace())
    await told(theirs, {**sync(), "workspace_id": owner.workspace}, 404)
    assert await listed(theirs) == []
    assert await listed(theirs, id="crm-1") == []
    hidden = await theirs.http.get(f"{theirs.home}/events/{mine['event_id']}")
    assert hidden.status_code == 404
    # The same id is another event there, and starts nothing of ours.
    other = await told(theirs, sync(records=9, id="crm-1"))
    assert other["event_id"] != mine["event_id"]
    assert other["skills_triggered"] == []
    assert len((await owner.http.get(f"{owner.home}/runs")).json()["items"]) == 1


async def test_telling_needs_the_scope_run(site: Site) -> None:
    reader = await site.with_scopes("read")
    assert (await told(reader, sync(), 403))["code"] == "forbidden"


async def test_neither_ids_nor_data_of_events_are_readable_where_they_are_stored(
    site: Site, owner: Caller, pool: Pool
) -> None:
    await owner.upload("greets", GREETS)
    answer = await told(
        owner, {"event": "sync_completed", "data": {"of": "Ann"}, "id": "id-of-ann"}
    )
    stored = await pool.fetchval("SELECT row_to_json(events)::text FROM events")
    assert "Ann" not in stored
    assert "id-of-ann" not in stored
    assert answer["skills_triggered"][0]["run_id"] not in stored


async def test_an_event_while_temporal_is_away_is_kept(
    site: Site, owner: Caller, monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    await owner.upload("greets", GREETS)

    async def away(*_: Any) -> None:
        raise Unavailable("Temporal does not answer")

    monkeypatch.setattr(Launch, "start", away)
    answer = await told(owner, sync())
    monkeypatch.undo()
    await pool.execute("UPDATE events SET at = now() - interval '1 minute'")
    await site.gateway.events.finish_left()
    await site.work()
    run_id = answer["skills_triggered"][0]["run_id"]
    await eventually(lambda: owner.run(run_id), lambda run: run["status"] == "succeeded")
