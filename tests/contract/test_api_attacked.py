"""The OpenAPI page, attacked: whatever is sent, nothing breaks, and every refusal is a problem."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from api.app import create_app
from tests.gateway import CODEC_TOKEN, ECHO, Caller, Site, open_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.pool import Pool

PAGE = schemathesis.openapi.from_dict(create_app(None).openapi())  # pyright: ignore[reportArgumentType]
OPERATIONS = {
    f"{one.ok().method.upper()} {one.ok().path}": one.ok() for one in PAGE.get_all_operations()
}
EXAMPLES = 12
# A stream goes on until the run ends, which this one never does.
ENDLESS = ("stream", "wait")


@pytest.fixture
async def site(
    temporal_address: str, temporal_namespace: str, pool: Pool, task_queue: str
) -> AsyncIterator[Site]:
    async with open_site(temporal_address, temporal_namespace, pool, task_queue) as site:
        yield site


ATTACKS = [
    (name, mode)
    for name, operation in OPERATIONS.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    # Where nothing is asked for, nothing can be wrong.
    if mode is GenerationMode.POSITIVE or "{" in name or not name.startswith("GET")
]


@pytest.mark.parametrize(("name", "mode"), ATTACKS)
async def test_an_operation_stands_what_is_sent(
    site: Site, name: str, mode: GenerationMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.actions.DECIDE_WITHIN", timedelta(seconds=0.2))
    owner = await site.with_scopes()
    await owner.upload("talk", ECHO)
    known = {
        "ws": owner.workspace,
        "skill": "talk",
        "run_id": await owner.started("talk"),
        "token": CODEC_TOKEN,
    }
    callers = (owner, site.admin)
    loop = asyncio.get_running_loop()
    sent = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[name].as_strategy(generation_mode=mode))
    def attack(case: Any) -> None:
        nonlocal sent
        sent += 1
        if sent % 3:
            case.path_parameters = {**(case.path_parameters or {}), **_named(case, known)}
        request = requests.Request(**case.as_transport_kwargs(base_url="http://gateway")).prepare()
        asked = asyncio.run_coroutine_threadsafe(_send(callers[sent % 2], request), loop)
        _check(asked.result(30), name)

    await asyncio.to_thread(attack)
    assert sent >= 1


def _named(case: Any, known: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in known.items() if f"{{{name}}}" in case.path}


async def _send(caller: Caller, request: requests.PreparedRequest) -> httpx2.Response:
    url = httpx2.URL(str(request.url))
    for name in ENDLESS:
        url = url.copy_remove_param(name)
    headers = {
        name: value
        for name, value in request.headers.items()
        if name.lower() not in ("content-length", "x-api-key", "authorization", "prefer")
    }
    return await caller.http.request(
        str(request.method), url, headers=headers, content=request.body
    )


def _check(answer: httpx2.Response, name: str) -> None:
    # Nobody works here, which /readyz and a decision have to say.
    assert answer.status_code < 500 or answer.status_code == 503, f"{name}: {answer.text}"
    if answer.status_code >= 400 and name != "GET /readyz":
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["code"] != "internal"
