"""The report of a run over HTTP: four formats, by key or by a link that was signed for it."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from core.errors import Unauthorized
from services import report_tokens
from services.report_tokens import ReportTokens
from tests.gateway import Caller, Site
from tests.kernel import KEYS
from tests.slack import check
from tests.unit.test_render_html import Page
from tests.unit.test_render_slack import report

TOLD = """\
inputs:
  value: {}
steps:
  - id: say
    compute: echo
    with: {value: "${inputs.value}"}
"""
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class Browser:
    """Has no key, and follows links."""

    def __init__(self, site: Site) -> None:
        self.http = site.caller(None).http

    async def open(self, link: str) -> httpx2.Response:
        parts = urlsplit(link)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return await self.http.get(path, headers={"Accept": BROWSER})


async def told(site: Site, owner: Caller, value: Any, flow: str = TOLD) -> str:
    await owner.upload("told", flow)
    await site.work()
    run_id = await owner.started("told", {"inputs": {"value": value}})
    await owner.ended(run_id)
    return run_id


async def link_of(owner: Caller, run_id: str) -> str:
    return (await owner.run(run_id))["links"]["report"]


async def test_each_format_says_the_same(site: Site, owner: Caller) -> None:
    value = report(3).model_dump(mode="json")
    run_id = await told(site, owner, value)

    async def get(format: str) -> httpx2.Response:
        return await owner.http.get(f"/api/runs/{run_id}/report", params={"format": format})

    page = await get("html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha")
    assert page.headers["cache-control"] == "private, no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "Nothing happened for 2 days" in Page(page.text).words
    text = await get("markdown")
    assert text.headers["content-type"] == "text/markdown; charset=utf-8"
    assert text.text.startswith("# Pipeline hygiene\n")
    message = (await get("slack")).json()
    check(message)
    assert (await get("json")).json() == value


async def test_accept_decides_where_no_format_is_named(site: Site, owner: Caller) -> None:
    run_id = await told(site, owner, {"n": 1})
    for accept, begins in (
        (BROWSER, "<!doctype html>"),
        ("text/markdown", "# Told"),
        ("application/json", '{"n":1}'),
        ("*/*", "<!doctype html>"),
        ("", "<!doctype html>"),
    ):
        answer = await owner.http.get(f"/api/runs/{run_id}/report", headers={"Accept": accept})
        assert answer.text.startswith(begins), accept


async def test_the_skill_says_its_format_to_those_who_do_not_care(
    site: Site, owner: Caller
) -> None:
    run_id = await told(site, owner, {"n": 1}, f"{TOLD}format: slack\n")
    answer = await owner.http.get(f"/api/runs/{run_id}/report")
    assert answer.json()["blocks"][0]["text"]["text"] == "Told"


async def test_an_unknown_format_is_refused(site: Site, owner: Caller) -> None:
    run_id = await told(site, owner, 1)
    answer = await owner.http.get(f"/api/runs/{run_id}/report", params={"format": "htm"})
    assert answer.status_code == 422
    assert "did you mean `html`" in answer.json()["errors"][0]["message"]


async def test_a_run_that_goes_on_shows_that_it_does(site: Site, owner: Caller) -> None:
    await owner.upload("told", TOLD)
    run_id = await owner.started("told", {"inputs": {"value": 1}})
    answer = await Browser(site).open(await link_of(owner, run_id))
    assert "This run is queued." in Page(answer.text).words
    assert 'http-equiv="refresh"' in answer.text


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """How far ahead the day is."""
    ahead = [timedelta(0)]

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + ahead[0]

    monkeypatch.setattr(report_tokens, "datetime", Later)
    return ahead


async def test_a_link_is_good_for_30_days(
    site: Site, owner: Caller, clock: list[timedelta]
) -> None:
    link = await link_of(owner, await told(site, owner, 1))
    clock[0] = timedelta(days=30)
    assert (await Browser(site).open(link)).status_code == 200
    clock[0] = timedelta(days=31)
    refused = await Browser(site).open(link)
    assert refused.status_code == 401
    assert "this link has expired" in Page(refused.text).words
    assert refused.headers["content-security-policy"].startswith("default-src 'none'")


class TestStrangers:
    async def test_the_link_of_one_run_opens_that_report_and_nothing_else(
        self, site: Site, owner: Caller
    ) -> None:
        run_id = await told(site, owner, 1)
        link = await link_of(owner, run_id)
        other = await owner.started("told", {"inputs": {"value": 2}})
        token = link.partition("?token=")[2]
        browser = Browser(site)
        assert (await browser.open(link)).status_code == 200
        assert (await browser.open(link.replace(run_id, other))).status_code == 401
        assert (await browser.open(link.replace("/report", ""))).status_code == 401
        assert (await browser.open(link.replace("/report", "/log"))).status_code == 401
        day, _, signature = token.partition(".")
        later = f"{int(day) + 1}.{signature}"
        assert (await browser.open(link.replace(token, later))).status_code == 401
        answer = await browser.http.get(f"/api/runs/{run_id}/report")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        headers = {"X-API-Key": "wrong"}
        path = f"/api/runs/{run_id}/report?token={token}"
        assert (await browser.http.get(path, headers=headers)).status_code == 401

    @pytest.mark.parametrize(
        "token", ["", ".", "1.", "x.y", "9999999.", "99999999999.a", "²2.a", "20000.ä", "-1.a"]
    )
    def test_a_token_of_any_other_form_is_refused(self, token: str) -> None:
        with pytest.raises(Unauthorized):
            ReportTokens(KEYS.values()).check(token, "r1")

    async def test_a_key_reads_it_in_its_own_workspace_if_it_may_read(
        self, site: Site, owner: Caller
    ) -> None:
        run_id = await told(site, owner, 1)
        elsewhere = await site.with_scopes(workspace=await site.new_workspace())
        assert (await elsewhere.http.get(f"/api/runs/{run_id}/report")).status_code == 404
        runner = await site.with_scopes("run")
        assert (await runner.http.get(f"/api/runs/{run_id}/report")).status_code == 403


def test_links_stay_good_while_their_key_is_known() -> None:
    old, new = next(iter(KEYS.values())), bytes(32)
    token = ReportTokens([old]).make("r1")
    ReportTokens([new, old]).check(token, "r1")
    with pytest.raises(Exception, match="not for this report"):
        ReportTokens([new]).check(token, "r1")


def test_the_encryption_key_itself_signs_nothing() -> None:
    key = next(iter(KEYS.values()))
    day, _, signature = ReportTokens([key]).make("r1").partition(".")
    plain = hmac.digest(key, f"{day}\nr1".encode(), "sha256")
    assert base64.urlsafe_b64encode(plain).rstrip(b"=").decode() != signature
    assert int(day) == (datetime.now(UTC) + timedelta(days=30)).toordinal() - 719_163
