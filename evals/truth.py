"""What there is to find, asked of the data with the same questions a person may ask."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from core.tool import Actor, RunContext, ToolContext
from evals.claims import claims
from evals.score import Truth
from store.crm.asking import CRM
from tools.crm import crm_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from core.report import Report
    from core.tool import Tool
    from store.pool import Pool

PAGE = 200
HEARD = 100
Deal = dict[str, Any]
Said = tuple[str, ...]


class Data:
    """The tools of one workspace."""

    def __init__(self, pool: Pool, workspace: str) -> None:
        self._tools: dict[str, Tool] = {tool.name: tool for tool in crm_tools(CRM(pool))}
        actor = Actor(kind="system", id="evals")
        run = RunContext(workspace=workspace, run="", lineage="", path="", actor=actor)
        self._context = ToolContext(run=run, effect_key="")

    async def ask(self, tool: str, **arguments: Any) -> Any:
        given = {name: value for name, value in arguments.items() if value is not None}
        known = self._tools[tool].arguments.model_validate(given)
        return await self._tools[tool].call(known, self._context)

    async def deals(self, tool: str, **arguments: Any) -> dict[str, Deal]:
        """All of them, page by page."""
        found: dict[str, Deal] = {}
        while True:
            page = await self.ask(tool, limit=PAGE, offset=len(found), **arguments)
            found |= {deal["deal_id"]: deal for deal in page["deals"]}
            if not page["more"]:
                return found

    async def records(self, report: Report, known: Container[str]) -> dict[str, str]:
        """Of the deals of which the report claims something that their cards do not show."""
        claimed = (
            finding.deal.id
            for finding in report.findings
            if finding.deal and any(claims(f"{finding.detail} {finding.action or ''}"))
        )
        return {
            deal: json.dumps(await self.ask("crm_get_deal", deal_id=deal, limit=100))
            for deal in claimed
            if deal in known
        }

    async def heard(self, deal: str, days: int) -> str:
        told = await self.ask(
            "crm_conversations",
            deal_id=deal,
            period=f"last_{days}_days",
            limit=HEARD,
            max_chars=100_000,
        )
        return "\n".join(each["transcript"] for each in told["conversations"])


async def hygiene(data: Data, inputs: Mapping[str, Any], report: Report) -> Truth:
    chosen = {name: inputs.get(name) for name in ("pipeline", "owner", "segment")}
    open_ones = await data.deals("crm_open_deals", **chosen)
    stale = await data.deals("crm_stale_deals", days=inputs.get("stale_days"), **chosen)
    slipped = await data.deals("crm_slipped_deals", **chosen)
    pushed = await data.deals("crm_close_date_pushes", min_pushes=inputs.get("pushes"), **chosen)
    missing = await data.deals("crm_missing_fields", fields=["amount", "close_date"], **chosen)
    unplanned = await data.deals("crm_missing_fields", fields=["next_step"], **chosen)
    return Truth(
        cards=open_ones,
        of_kind={
            "stale": _said(stale, lambda d: (f"{d['quiet_days']} days",)),
            "slipped": _said(slipped, lambda d: (d["close_date"], f"{d['days_overdue']} days")),
            "pushed": _said(pushed, lambda d: (f"{d['pushes']} times", f"{d['days_pushed']} days")),
            "missing_fields": _said(missing, lambda d: [f.replace("_", " ") for f in d["missing"]]),
            "no_next_step": _said(unplanned, lambda _: ("next step",)),
        },
        counts={
            "Open deals": len(open_ones),
            "Slipped": len(slipped),
            "Stale": len(stale),
            "Pushed": len(pushed),
            "No next step": len(unplanned),
            "Missing fields": len(missing),
        },
        records=await data.records(report, open_ones),
    )


async def risks(data: Data, inputs: Mapping[str, Any], report: Report) -> Truth:
    open_ones = await data.deals("crm_open_deals")
    scored = await data.deals("crm_at_risk_deals", min_score=50)
    stuck = await data.deals("crm_at_risk_deals", min_score=1, kinds=["stuck"])
    alone = await data.deals("crm_single_threaded_deals")
    cuts = await data.deals(
        "crm_amount_changes",
        direction="cut",
        days=inputs.get("cut_days", 60),
        min_percent=inputs.get("cut", 30),
    )
    of_their_own = ("stuck", "single_threaded", "amount_cut")

    def other(deal: Deal) -> list[str]:
        return [each["detail"] for each in deal["reasons"] if each["kind"] not in of_their_own]

    def reason(deal: Deal) -> list[str]:
        return [each["detail"] for each in deal["reasons"] if each["kind"] == "stuck"]

    signals = await _quoted(data, report, inputs.get("days", 14))
    return Truth(
        cards=open_ones,
        of_kind={
            "stuck": _said(stuck, reason),
            "single_threaded": _said(alone, lambda d: ("one contact" if d["contacts"] else "no",)),
            "amount_cut": _said(cuts, lambda d: (f"{abs(d['change_percent']):g} %",)),
            "at_risk": _said({key: d for key, d in scored.items() if other(d)}, other),
            "risk_signal": dict.fromkeys(signals, ()),
        },
        counts={"Open deals": len(open_ones)},
        records=await data.records(report, open_ones),
    )


async def _quoted(data: Data, report: Report, days: int) -> list[str]:
    """The deals about which somebody said what the report quotes, word by word."""
    found: list[str] = []
    for finding in report.findings:
        if finding.deal is None or "risk_signal" not in (finding.kind, *finding.also):
            continue
        quotes = [part.split("”")[0] for part in finding.title.split("“")[1:]]
        heard = await data.heard(finding.deal.id, days)
        if quotes and all(quote in heard for quote in quotes):
            found.append(finding.deal.id)
    return found


async def week(data: Data, inputs: Mapping[str, Any], report: Report) -> Truth:
    today = date.fromisoformat((await data.ask("crm_open_deals", limit=1))["as_of"])

    def day(days: int) -> str:
        return (today + timedelta(days=days)).isoformat()

    open_ones = await data.deals("crm_open_deals")
    won = await data.deals("crm_won_deals", since=day(-6), until=day(0))
    lost = await data.deals("crm_lost_deals", since=day(-6), until=day(0))
    new = await data.deals("crm_new_deals", since=day(-6), until=day(0))
    moved = await data.deals("crm_open_deals", in_stage_since=day(-6))
    pushed = await data.deals("crm_close_date_pushes", min_pushes=1, days=7)
    slipped = {k: d for k, d in open_ones.items() if day(-6) <= (d["close_date"] or "") < day(0)}
    ahead = day(inputs.get("ahead", 7))
    closing = {k: d for k, d in open_ones.items() if day(0) <= (d["close_date"] or "") <= ahead}
    told = {**open_ones, **won, **lost, **new}
    return Truth(
        cards=told,
        of_kind={
            "won": _said(won, lambda d: (d["closed_on"],)),
            "lost": _said(lost, lambda d: (d["closed_on"], d["lost_reason"] or "no reason")),
            "new": _said(
                {k: d for k, d in new.items() if d["outcome"] == "open"},
                lambda d: (d["created_on"],),
            ),
            "moved": _said(
                {k: d for k, d in moved.items() if k not in new}, lambda d: (d["stage"],)
            ),
            "slipped": _said(slipped, lambda d: (d["close_date"],)),
            "pushed": _said(pushed, lambda d: (d["close_date"],) if d["close_date"] else ()),
            "closing": _said(closing, lambda d: (d["close_date"],)),
        },
        counts={"Deals won": len(won), "Deals lost": len(lost), "New deals": len(new)},
        records=await data.records(report, told),
    )


def _said(deals: Mapping[str, Deal], facts: Callable[[Deal], Iterable[str]]) -> dict[str, Said]:
    return {deal_id: tuple(facts(deal)) for deal_id, deal in deals.items()}


OF_SKILL = {"pipeline-hygiene": hygiene, "deal-risk-review": risks, "weekly-recap": week}
