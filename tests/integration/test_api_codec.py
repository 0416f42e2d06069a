from __future__ import annotations

import base64
import json

import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads

from tests.gateway import CODEC_TOKEN, ECHO, UI, Caller, Site

MARK = "tell-nobody-but-the-holder"


async def sealed(site: Site, owner: Caller) -> str:
    """The input of a run as Temporal holds it, in the shape the Web UI asks with."""
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk", {"inputs": {"word": MARK}})
    history = await site.kernel.client.get_workflow_handle(run_id).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    return json_format.MessageToJson(Payloads(payloads=started.input.payloads))


def opened(answer: str) -> str:
    payloads = json.loads(answer).get("payloads", [])
    return "".join(base64.b64decode(payload["data"]).decode() for payload in payloads)


async def test_the_token_and_the_admin_key_open_payloads(site: Site, owner: Caller) -> None:
    body = await sealed(site, owner)
    assert MARK not in body
    nobody = site.caller(None)
    by_token = await nobody.http.post(
        f"/codec/{CODEC_TOKEN}/decode", params={"preserveStorageRefs": "true"}, content=body
    )
    by_key = await site.admin.http.post("/codec/decode", content=body)
    assert MARK in opened(by_token.text)
    assert MARK in opened(by_key.text)


async def test_nobody_else_opens_anything(site: Site, owner: Caller) -> None:
    body = await sealed(site, owner)
    nobody = site.caller(None)
    answers = {
        401: await nobody.http.post("/codec/decode", content=body),
        403: await owner.http.post("/codec/decode", content=body),
        404: await nobody.http.post("/codec/guess/decode", content=body),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert "payloads" not in answer.text


async def test_what_is_sealed_here_opens_here(site: Site) -> None:
    plain = json.dumps({"payloads": [{"metadata": {}, "data": base64.b64encode(b"1").decode()}]})
    closed = await site.admin.http.post("/codec/encode", content=plain)
    again = await site.admin.http.post("/codec/decode", content=closed.text)
    assert opened(again.text) == "1"
    assert closed.text != again.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"payload": []}',
        b'{"payloads": [{"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA=="}, "data": "AAAA"}]}',
    ],
)
async def test_what_cannot_be_opened_is_refused(site: Site, body: bytes) -> None:
    answer = await site.admin.http.post("/codec/decode", content=body)
    assert answer.status_code == 422, answer.text


async def test_only_pages_of_the_web_ui_may_ask_from_a_browser(site: Site, owner: Caller) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace",
    }
    browser = site.caller(None).http
    for origin in (UI, UI.replace("127.0.0.1", "localhost")):
        path = f"/codec/{CODEC_TOKEN}/decode"
        allowed = await browser.options(path, headers=asks | {"Origin": origin})
        assert allowed.status_code == 200
        assert allowed.headers["Access-Control-Allow-Origin"] == origin
        answer = await browser.post(path, content="{}", headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        other = await browser.options(owner.home, headers=asks | {"Origin": origin})
        assert "Access-Control-Allow-Origin" not in other.headers
    foreign = await browser.options(
        f"/codec/{CODEC_TOKEN}/decode", headers=asks | {"Origin": "http://evil.example"}
    )
    assert "Access-Control-Allow-Origin" not in foreign.headers
