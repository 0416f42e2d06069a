"""Payloads of Temporal are opened for who holds the key or the token, and for nobody else."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

import httpx2
from google.protobuf.json_format import MessageToDict
from temporalio.client import Client

from dev.plan import NAMESPACE
from tests.chaos import flows

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload

    from tests.chaos.installed import Installed


async def test_codec_endpoint_decodes_nothing_without_key_or_token(installed: Installed) -> None:
    text = f"given{secrets.token_hex(12)}"
    skill = await installed.push(flows.ECHO)
    run = await installed.run(skill, value=text)
    sealed = [MessageToDict(payload) for payload in await payloads(installed, run.run_id)]
    assert text not in str([opened(payload) for payload in sealed])

    credentials = installed.installation.credentials()
    ui = f"{credentials['temporal_ui']}/api/v1/settings"
    async with httpx2.AsyncClient(base_url=credentials["url"], trust_env=False) as http:
        told: str = (await http.get(ui)).json()["Codec"]["Endpoint"]

        async def decode(path: str, **headers: str) -> httpx2.Response:
            body = {"payloads": sealed}
            return await http.post(path, json=body, headers={"X-Namespace": NAMESPACE} | headers)

        workspace_key = credentials["workspace_key"]
        refused = [
            await decode("/codec/decode"),
            await decode("/codec/decode", Authorization="Bearer wrong"),
            await decode("/codec/decode", Authorization=f"Bearer {workspace_key}"),
            await decode(f"/codec/{'x' * 43}/decode"),
            await decode(f"/codec/{workspace_key}/decode"),
            await decode(f"{told.removesuffix(told[-1])}/decode"),
        ]
        open_doors = [
            await decode("/codec/decode", Authorization=f"Bearer {credentials['admin_key']}"),
            await decode(f"{told}/decode"),
        ]
    assert [answer.status_code for answer in refused] == [401, 401, 403, 404, 404, 404]
    for answer in refused:
        assert "payloads" not in answer.json()
        assert text not in answer.text
    for answer in open_doors:
        assert answer.status_code == 200
        assert text in str([opened(payload) for payload in answer.json()["payloads"]])


async def payloads(installed: Installed, run_id: str) -> list[Payload]:
    """Of the run's start and its steps, as the server has them."""
    address = f"127.0.0.1:{installed.installation.ports['PERDURE_TEMPORAL_PORT']}"
    client = await Client.connect(address, namespace=NAMESPACE)
    found: list[Payload] = []
    async for event in client.get_workflow_handle(run_id).fetch_history_events():
        found.extend(event.workflow_execution_started_event_attributes.input.payloads)
        found.extend(event.activity_task_scheduled_event_attributes.input.payloads)
        found.extend(event.activity_task_completed_event_attributes.result.payloads)
    assert len(found) >= 3
    return found


def opened(payload: dict[str, Any]) -> bytes:
    return base64.b64decode(payload.get("data", ""))
