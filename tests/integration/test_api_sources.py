from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.pool import Pool
    from tests.gateway import Caller, Site

DEALS = """\
Deal ID,Deal Name,Stage,Amount,Close Date,Deal Owner,Last Modified
d1,Initech renewal,Proposal,"1,234.50",2026-12-01,Ada,2026-11-01T10:00:00Z
d2,Globex,Closed Won,800,2026-10-15,Bo,2026-11-02T10:00:00Z
d3,Hooli,Proposal,12.5.0,2026-12-24,Ada,2026-11-03T10:00:00Z
"""
FOLLOWS = """\
triggers:
  - event: sync_completed
    when: event.data.records > 0
steps:
  - id: seen
    compute: echo
    with: {value: "${event.data}"}
"""


async def added(owner: Caller, id: str = "files", config: Any = None) -> None:
    body = {"id": id, "config": config or {"type": "files"}}
    made = await owner.http.post(f"{owner.home}/sources", json=body)
    assert made.status_code == 201, made.text


async def uploaded(owner: Caller, text: str | bytes, kind: str = "deals", **query: str) -> Any:
    path = f"{owner.home}/sources/files/files/{kind}"
    data = text.encode() if isinstance(text, str) else text
    put = await owner.http.put(path, content=data, params=query)
    assert put.status_code == 200, put.text
    return put.json()


async def synced(owner: Caller, **asked: Any) -> dict[str, Any]:
    answer = await owner.http.post(f"{owner.home}/sources/files/sync", json=asked)
    assert answer.status_code == 202, answer.text
    run = await owner.ended(answer.json()["run_id"])
    assert run["status"] == "succeeded", run["error"]
    return run


async def test_from_a_file_to_the_skill_that_follows_its_sync(
    site: Site, owner: Caller, pool: Pool
) -> None:
    await owner.upload("follows", FOLLOWS)
    await added(owner)
    file = await uploaded(owner, DEALS)
    assert (file["format"], file["lines"]) == ("csv", 4)
    await site.work()

    run = await synced(owner)
    (line,) = (await owner.http.get(f"{owner.home}/sources")).json()["items"]
    assert (line["last_run_id"], line["last_run_status"]) == (run["run_id"], "succeeded")
    assert run["skill"] == "perdure.sync"
    assert run["label"] == "files"
    deals = run["output"]["by_type"]["deals"]
    assert deals == {"read": 2, "written": 2, "deleted": 0, "unchanged": 0, "faults": 1}
    assert run["output"]["records"] == 5  # two deals, their owners and their pipeline
    (fault,) = run["output"]["faults"]
    assert fault.startswith("deals line 4: column `Amount`: expected a number")

    rows = await pool.fetch("SELECT id, amount, outcome FROM crm_deals ORDER BY id")
    assert [(row["id"], str(row["amount"]), row["outcome"]) for row in rows] == [
        ("files:d1", "1234.50", "open"),
        ("files:d2", "800.00", "won"),
    ]

    async def followers() -> list[Any]:
        listed = await owner.http.get(f"{owner.home}/skills/follows/runs")
        return listed.json()["items"]

    (follower,) = await eventually(followers, bool)
    assert follower["trigger"] == "event"
    told = (await owner.ended(follower["run_id"]))["output"]
    assert told["run_id"] == run["run_id"]
    assert told["source"] == "files"
    assert told["by_type"]["deals"] == deals

    silent = await synced(owner)
    assert silent["output"]["records"] == 0
    assert len(await followers()) == 1


async def fault(owner: Caller, config: Any, id: str = "x") -> tuple[int, list[tuple[str, str]]]:
    answer = await owner.http.post(f"{owner.home}/sources", json={"id": id, "config": config})
    errors = answer.json().get("errors", [])
    return answer.status_code, [(each["field"], each["message"]) for each in errors]


@pytest.mark.parametrize(
    ("config", "field", "message"),
    [
        ({"type": "file"}, "config.type", "files"),
        ({"type": "files", "kind": {}}, "config.kind", "did you mean `kinds`?"),
        ({"type": "files", "kinds": {"deal": {}}}, "config.kinds.deal", "deals"),
        (
            {"type": "files", "kinds": {"deals": {"colums": {}}}},
            "config.kinds.deals.colums",
            "did you mean `columns`?",
        ),
        (
            {"type": "files", "kinds": {"deals": {"columns": {"ammount": "A"}}}},
            "config",
            "`ammount` is no field of deals; did you mean `amount`?",
        ),
        (
            {"type": "files", "kinds": {"deals": {"dates": "dym"}}},
            "config.kinds.deals.dates",
            "dmy",
        ),
        ({"type": "postgres", "kinds": {}}, "config.kinds", "at least 1"),
        ({"type": "postgres", "kinds": {"deals": {}}}, "config.kinds.deals.query", "required"),
        ({"type": "hubspot", "base_url": "ftp://x"}, "config.base_url", "https://api.example.com"),
        ({"type": "hubspot", "base_url": "https://a b"}, "config.base_url", "no spaces"),
        ({"type": "hubspot", "base_url": "https://a.b:99999"}, "config.base_url", "0-65535"),
        ({"type": "hubspot", "base_url": "https://a.b:0"}, "config.base_url", "1 to 65535"),
        ({"type": "hubspot", "token": "secret-token"}, "config.token", "unknown field"),
    ],
)
async def test_a_config_that_cannot_be_used_is_told_by_field(
    owner: Caller, config: Any, field: str, message: str
) -> None:
    status, ((told, said),) = await fault(owner, config)
    assert (status, told) == (422, field)
    assert message in said
    assert "secret-token" not in said


async def test_an_id_is_a_short_word_and_one_of_a_kind(owner: Caller) -> None:
    for id in ("", "Files", "9files", "a_b", "x" * 41, "files\n"):
        status, errors = await fault(owner, {"type": "files"}, id)
        assert (status, errors[0][0]) == (422, "id")
    await added(owner)
    assert (await fault(owner, {"type": "files"}, "files"))[0] == 409


async def test_another_tenant_sees_nothing_of_a_source(
    site: Site, owner: Caller, pool: Pool
) -> None:
    await added(owner)
    await uploaded(owner, DEALS)
    other = await site.with_scopes(workspace=await site.new_workspace())
    theirs = f"{owner.home}/sources"
    for home, missing in ((theirs, "workspace"), (f"{other.home}/sources", "source")):
        answers = [
            await other.http.get(f"{home}/files"),
            await other.http.patch(f"{home}/files", json={"config": {"type": "files"}}),
            await other.http.delete(f"{home}/files?records=delete"),
            await other.http.put(f"{home}/files/files/deals", content=b"id,stage\n"),
            await other.http.post(f"{home}/files/check"),
            await other.http.post(f"{home}/files/sync"),
        ]
        assert [answer.status_code for answer in answers] == [404] * 6
        assert all(missing in answer.json()["detail"] for answer in answers)
    assert (await other.http.get(f"{other.home}/sources")).json()["items"] == []
    assert await pool.fetchval("SELECT count(*) FROM source_files") == 1


async def test_each_scope_opens_its_own_doors(site: Site, owner: Caller) -> None:
    await added(owner)
    path = f"{owner.home}/sources/files"
    reader, runner = await site.with_scopes("read"), await site.with_scopes("run")
    assert (await reader.http.get(path)).status_code == 200
    assert (await reader.http.post(f"{path}/sync")).status_code == 403
    assert (await runner.http.post(f"{path}/check")).status_code == 403
    assert (await runner.http.put(f"{path}/files/deals", content=b"x")).status_code == 403
    assert (await runner.http.post(f"{path}/sync")).status_code == 202


async def test_while_a_sync_is_under_way_it_is_the_answer_and_nothing_changes(
    site: Site, owner: Caller
) -> None:
    await added(owner)
    await uploaded(owner, DEALS)
    path = f"{owner.home}/sources/files"
    answers = await asyncio.gather(*(owner.http.post(f"{path}/sync") for _ in range(5)))
    (run_id,) = {answer.json()["run_id"] for answer in answers}
    shown = (await owner.http.get(path)).json()
    assert (shown["syncing"], shown["last_run_id"]) == (run_id, run_id)
    assert shown["last_run_at"] is not None
    for refused in (
        await owner.http.patch(path, json={"config": {"type": "files"}}),
        await owner.http.delete(path),
    ):
        assert refused.status_code == 409
        assert refused.json()["run_id"] == run_id
    await site.work()
    assert (await owner.ended(run_id))["status"] == "succeeded"
    assert (await owner.http.get(path)).json()["syncing"] is None
    following = (await owner.http.post(f"{path}/sync")).json()["run_id"]
    assert following != run_id
    await owner.ended(following)


async def test_a_sync_is_not_retried_but_asked_for_anew(site: Site, owner: Caller) -> None:
    await added(owner, config={"type": "postgres", "kinds": {"deals": {"query": "SELECT 1"}}})
    await site.work()
    answer = await owner.http.post(f"{owner.home}/sources/files/sync")
    run = await owner.ended(answer.json()["run_id"])
    assert (run["status"], run["error"]["code"]) == ("failed", "secret_missing")
    retried = await owner.act(run["run_id"], "retry")
    assert retried.status_code == 409
    assert "sync its source again" in retried.json()["detail"]


async def test_another_config_reads_all_again(site: Site, owner: Caller, pool: Pool) -> None:
    await added(owner)
    text = "id,stage,value,ticket,updated\n1,Talks,10,20,2026-01-01\n"
    await uploaded(owner, text)
    await site.work()
    await synced(owner)
    assert str(await pool.fetchval("SELECT amount FROM crm_deals")) == "10.00"
    config = {"type": "files", "kinds": {"deals": {"columns": {"amount": "ticket"}}}}
    path = f"{owner.home}/sources/files"
    changed = await owner.http.patch(path, json={"config": config})
    assert changed.status_code == 200
    assert changed.json()["kinds"][-1]["known_to"] is None
    await synced(owner)
    assert str(await pool.fetchval("SELECT amount FROM crm_deals")) == "20.00"


@pytest.mark.parametrize(("records", "left"), [("keep", 2), ("delete", 0)])
async def test_a_removed_source_leaves_its_records_where_that_is_said(
    site: Site, owner: Caller, pool: Pool, records: str, left: int
) -> None:
    await added(owner)
    await uploaded(owner, DEALS)
    await site.work()
    await synced(owner)
    answer = await owner.http.delete(f"{owner.home}/sources/files", params={"records": records})
    assert answer.json() == {
        "records": {"keep": "kept", "delete": "deleted"}[records],
        "rows": 0 if left else 5,
    }
    assert await pool.fetchval("SELECT count(*) FROM crm_deals") == left
    assert await pool.fetchval("SELECT count(*) FROM source_file_parts") == 0
    assert (await owner.http.get(f"{owner.home}/sources/files")).status_code == 404


async def test_a_check_shows_what_a_sync_would_read_and_keeps_nothing(
    owner: Caller, pool: Pool
) -> None:
    await added(owner)
    path = f"{owner.home}/sources/files/check"
    empty = (await owner.http.post(path)).json()
    assert (empty["ok"], empty["error"]["code"]) == (False, "source_empty")
    await uploaded(owner, DEALS)
    await uploaded(owner, "identity,name\n1,Initech\n", "contacts")
    checked = (await owner.http.post(path)).json()
    assert not checked["ok"]
    kinds = {each["kind"]: each for each in checked["kinds"]}
    deals = kinds["deals"]
    assert deals["columns"]["close_date"] == "Close Date"
    assert deals["rows"] == 3
    assert deals["sample"][0]["amount"] == "1234.50"
    assert deals["faults"][0].startswith("deals line 4")
    assert kinds["contacts"]["error"]["message"].startswith("contacts: no column for `id`")
    assert [each["name"] for each in kinds["owners"]["sample"]] == ["Ada", "Bo"]
    assert await pool.fetchval("SELECT count(*) FROM crm_deals") == 0


async def test_only_a_source_of_files_takes_files_of_known_kinds(owner: Caller) -> None:
    await added(owner, "hubspot", {"type": "hubspot"})
    path = f"{owner.home}/sources/hubspot/files"
    refused = await owner.http.put(f"{path}/deals", content=b"id,stage\n")
    assert refused.status_code == 422
    assert "only a source of files" in refused.json()["detail"]
    unknown = await owner.http.put(f"{path}/deal", content=b"id,stage\n")
    assert unknown.status_code == 422
    assert "deals" in unknown.json()["errors"][0]["message"]


async def test_a_file_that_is_too_large_is_refused_as_it_comes(
    owner: Caller, monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    monkeypatch.setattr("api.routers.sources.MAX_FILE", 1000)
    await added(owner)
    path = f"{owner.home}/sources/files/files/deals"

    async def much() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    for body in (much(), b"x" * 2000):
        assert (await owner.http.put(path, content=body)).status_code == 413
    assert await pool.fetchval("SELECT count(*) FROM source_files") == 0
