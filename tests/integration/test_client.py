from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from perdure import Client, Refused, Unreachable
from perdure.bundle import read_bundle
from tests.integration.stand_in import KEY, WORKSPACE, StandIn, problem, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

RUN = "POST /api/workspaces/demo/skills/orders/run"


@pytest.fixture
def gateway() -> Generator[StandIn]:
    with serving() as stand_in:
        yield stand_in


@pytest.fixture
async def client(gateway: StandIn) -> AsyncGenerator[Client]:
    async with Client(gateway.url, KEY, WORKSPACE) as client:
        yield client


async def test_a_run_is_started_and_waited_for(gateway: StandIn, client: Client) -> None:
    gateway.run("orders-1", output={"total": 3})
    gateway.answer(RUN, 202, {"run_id": "orders-1", "status": "queued"})
    run = await client.run("orders", {"n": 1})
    assert run.status == "succeeded"
    assert run.output == {"total": 3}
    (asked,) = gateway.asked_for(RUN)
    assert asked.body == {"inputs": {"n": 1}}
    assert asked.headers["authorization"] == f"Bearer {KEY}"


async def test_a_start_whose_answer_was_lost_is_asked_again_under_the_same_key(
    gateway: StandIn, client: Client
) -> None:
    gateway.answer(RUN, 0, None)
    gateway.answer(RUN, 202, {"run_id": "orders-1", "status": "queued"})
    started = await client.skills.run("orders")
    assert started.run_id == "orders-1"
    first, second = (asked.headers["idempotency-key"] for asked in gateway.asked_for(RUN))
    assert first == second


async def test_each_start_has_a_key_of_its_own_unless_one_is_given(
    gateway: StandIn, client: Client
) -> None:
    for _ in range(3):
        gateway.answer(RUN, 202, {"run_id": "orders-1", "status": "queued"})
    await client.skills.run("orders")
    await client.skills.run("orders")
    await client.skills.run("orders", idempotency_key="monday")
    one, other, given = (asked.headers["idempotency-key"] for asked in gateway.asked_for(RUN))
    assert one != other
    assert given == "monday"


async def test_an_action_whose_answer_was_lost_is_not_repeated(
    gateway: StandIn, client: Client
) -> None:
    gateway.answer("POST /api/runs/orders-1", 0, None)
    with pytest.raises(Unreachable, match="broke"):
        await client.runs.approve("orders-1")
    assert len(gateway.asked_for("POST /api/runs/orders-1")) == 1


async def test_waiting_is_left_to_the_gateway_where_asked_for(
    gateway: StandIn, client: Client
) -> None:
    ended = {"run_id": "orders-1", "status": "succeeded", "duration_ms": 5, "output": [1]}
    gateway.answer(RUN, 200, ended)
    started = await client.skills.run("orders", wait=timedelta(seconds=20))
    assert started.has_ended
    assert started.output == [1]
    assert gateway.asked_for(RUN)[0].headers["prefer"] == "wait=20"


async def test_a_refusal_says_what_was_wrong_with_which_field(
    gateway: StandIn, client: Client
) -> None:
    fault = {"file": "flow.yaml", "line": 4, "message": "unknown tool", "severity": "warning"}
    errors = [{"field": "inputs.n", "message": "expected an integer"}]
    refusal = {"title": "Invalid", "detail": "1 input", "code": "invalid_inputs"}
    gateway.answer(RUN, 422, refusal | {"errors": errors, "faults": [fault]})
    with pytest.raises(Refused) as caught:
        await client.skills.run("orders")
    refused = caught.value
    assert (refused.status, refused.code, refused.detail) == (422, "invalid_inputs", "1 input")
    assert [(e.field, e.message) for e in refused.errors] == [("inputs.n", "expected an integer")]
    assert [(f.place, f.severity) for f in refused.faults] == [("flow.yaml:4", "warning")]


@pytest.mark.parametrize("answer", [{"detail": 5}, {"detail": "x", "errors": "?", "faults": [1]}])
async def test_a_refusal_in_an_odd_shape_is_a_refusal_still(
    gateway: StandIn, client: Client, answer: dict[str, object]
) -> None:
    gateway.answer(RUN, 409, answer)
    with pytest.raises(Refused) as caught:
        await client.skills.run("orders")
    assert caught.value.status == 409
    assert caught.value.detail


async def test_nobody_at_the_url_is_said_with_what_to_do(gateway: StandIn) -> None:
    async with Client("http://127.0.0.1:9", KEY, WORKSPACE) as client:
        with pytest.raises(Unreachable, match=r"no gateway at http://127\.0\.0\.1:9.*make up"):
            await client.runs.get("orders-1")


@pytest.mark.parametrize("page", ["<html>hello</html>", ""])
async def test_somebody_else_at_the_url_is_recognised(
    gateway: StandIn, client: Client, page: str
) -> None:
    from starlette.responses import HTMLResponse

    gateway.answer("GET /api/runs/orders-1", 0, HTMLResponse(page, 404))
    with pytest.raises(Unreachable, match="no Perdure gateway"):
        await client.runs.get("orders-1")


async def test_what_newer_gateways_add_is_kept(gateway: StandIn, client: Client) -> None:
    gateway.run("orders-1", mood="good")
    run = await client.runs.get("orders-1")
    assert run.document()["mood"] == "good"
    assert "retry_of" not in run.document()


async def test_names_cannot_lead_to_another_path(gateway: StandIn, client: Client) -> None:
    with pytest.raises(Refused):
        await client.skills.get("a/../b?c=d")
    assert gateway.asked[0].path == "/api/workspaces/demo/skills/a%2F..%2Fb%3Fc%3Dd"
    assert gateway.asked[0].query == {}


async def test_a_log_is_read_page_by_page(gateway: StandIn, client: Client) -> None:
    gateway.run("orders-1")
    kinds = [event.kind async for event in client.runs.log("orders-1")]
    assert kinds == ["run.started", "step.started", "step.finished", "run.succeeded"]
    assert [asked.query.get("cursor") for asked in gateway.asked] == [None, "2"]


async def test_text_is_pushed_as_text_and_everything_else_as_a_zip(
    gateway: StandIn, client: Client, tmp_path: Path
) -> None:
    folder = tmp_path / "orders"
    (folder / "prompts").mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: orders\n---\n")
    (folder / "prompts" / "ask.md").write_text("Grüße ${HOME}")
    place = "PUT /api/workspaces/demo/skills/orders"
    gateway.answer(place, 200, {"name": "orders", "version": "v1"})
    gateway.answer(place, 200, {"name": "orders", "version": "v2"})
    assert (await client.skills.push(folder)).version == "v1"
    (folder / "logo.png").write_bytes(b"\x89PNG\xff")
    assert (await client.skills.push(folder)).version == "v2"
    text, packed = gateway.asked_for(place)
    assert text.body["files"] == {
        "SKILL.md": "---\nname: orders\n---\n",
        "prompts/ask.md": "Grüße ${HOME}",
    }
    assert packed.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(packed.raw)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == dict(read_bundle(folder).files)


async def test_what_json_cannot_say_is_refused_before_it_is_sent(
    gateway: StandIn, client: Client
) -> None:
    from perdure.errors import BadUsage

    with pytest.raises(BadUsage, match="cannot be sent"):
        await client.skills.run("orders", {"n": float("nan")})
    assert gateway.asked == []


async def test_an_unready_gateway_says_what_it_lacks(gateway: StandIn, client: Client) -> None:
    parts = {"temporal": {"ok": True, "detail": "there"}, "worker": {"ok": False, "detail": "none"}}
    gateway.answer("GET /readyz", 503, {"ready": False} | parts)
    readiness = await client.readiness()
    assert not readiness.ready
    assert readiness.worker is not None
    assert readiness.worker.detail == "none"


async def test_another_workspace_is_named_in_the_path(gateway: StandIn) -> None:
    gateway.answer("GET /api/workspaces/other/keys", 200, {"items": []})
    async with Client(gateway.url, KEY, "other") as client:
        assert (await client.keys.list_page(limit=5)).items == ()
    assert gateway.asked[0].query == {"limit": "5"}


def test_a_key_is_in_no_representation(gateway: StandIn) -> None:
    client = Client(gateway.url, "pk_secret", WORKSPACE)
    assert "pk_secret" not in repr(client.connection) + repr(vars(client))
    assert problem(404, "x", "y").status_code == 404
