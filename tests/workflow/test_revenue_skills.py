"""The three skills on real tools, with models that know little, lie, or are never asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.crm import (
    Change,
    Contact,
    Conversation,
    Deal,
    DealContact,
    Owner,
    Pipeline,
    Record,
    Stage,
)
from core.report import Report
from services.library import Library
from store.crm.asking import CRM
from store.reports import Reports
from store.sealing import Keyring
from tests.integration.told import ToldRecords
from tests.kernel import KEYS, Kernel
from tests.talk import ModelRequest, Talk, says
from tools import specs
from tools.crm import crm_tools
from tools.findings import draft_report, finish_report
from tools.registry import Registry
from tools.reports import previous_report

LIBRARY = Library.load(Path(__file__).parents[2] / "skills", specs())
NAMES = ("pipeline-hygiene", "deal-risk-review", "weekly-recap")
MANY = 500  # more than a list holds
NOW = datetime.now(UTC)
TODAY = NOW.date()
OWNER = Owner(id="o", modified_at=NOW, name="Ada")
PIPELINE = Pipeline(
    id="p",
    modified_at=NOW,
    name="New",
    stages=(
        Stage(id="open", name="Proposal", position=0, probability=0.6),
        Stage(id="won", name="Won", position=1, probability=1, outcome="won"),
    ),
)


def deal(number: int, **more: Any) -> Deal:
    """Nothing is wrong with it, unless it is said."""
    known = {
        "id": f"{number}",
        "modified_at": NOW,
        "name": f"Deal {number}",
        "pipeline": "p",
        "stage": "open",
        "amount": Decimal(1_000 + number),
        "currency": "EUR",
        "close_date": TODAY + timedelta(days=60),
        "owner": "o",
        "next_step": "Meet on Monday",
        "url": f"https://crm.example/{number}",
        "created_at": NOW - timedelta(days=3),
    }
    return Deal.model_validate(known | more)


class Team:
    """A workspace with business data, and a model that says what it is told to."""

    def __init__(self, kernel: Kernel, answer: Callable[[str], dict[str, Any]]) -> None:
        reports = previous_report(Reports(kernel.pool, Keyring(KEYS)))
        tools = Registry(*crm_tools(CRM(kernel.pool)), draft_report, finish_report, reports)
        self._kernel = replace(kernel, parts=replace(kernel.parts, tools=tools))
        self.asked: list[str] = []

        def say(request: ModelRequest) -> Any:
            self.asked.append("\n".join(getattr(turn, "text", "") for turn in request.turns))
            return says(json.dumps(answer(self.asked[-1])))

        self._talk = Talk(self._kernel, say)

    async def knows(self, *records: Record) -> None:
        kernel = self._kernel
        written = ToldRecords(kernel.pool)
        told = (OWNER, PIPELINE, *records)
        await written.write(kernel.workspace.id, "crm", told, sync="s")

    async def runs(self, skill: str, **inputs: Any) -> Report:
        flow = LIBRARY.get(skill).version.skill.flow
        settled = {name: schema.get("default") for name, schema in flow.inputs.items()}
        async with self._kernel.worker(), self._talk.worker():
            handle = await self._kernel.start(flow, settled | inputs)
            run = await self._kernel.ended(handle)
            assert run.status == "succeeded", run.error
            report = Report.read(await handle.result())
        assert report is not None
        return report


def silent(_: str) -> dict[str, Any]:
    raise AssertionError("no model is to be asked")


def nothing_more(asked: str) -> dict[str, Any]:
    if asked.startswith("Find the signs"):
        return {"signals": []}
    return {"summary": "As it stands.", "deals": []}


@pytest.mark.parametrize("skill", NAMES)
async def test_an_empty_workspace_is_told_what_to_do_and_no_model_is_asked(
    kernel: Kernel, skill: str
) -> None:
    report = await Team(kernel, silent).runs(skill)
    assert "perdure sources add" in report.summary
    assert (report.findings, report.tasks) == ((), ())


@pytest.mark.parametrize("skill", NAMES[:2])
async def test_where_nothing_is_wrong_no_model_is_asked(kernel: Kernel, skill: str) -> None:
    team = Team(kernel, silent)
    people = tuple(DealContact(contact=name) for name in ("eve", "max"))
    await team.knows(
        *(Contact(id=each.contact, modified_at=NOW, name=each.contact) for each in people),
        *(deal(number, contacts=people) for number in range(3)),
    )
    report = await team.runs(skill)
    assert report.findings == ()
    assert report.summary.startswith("3 open deals ")


async def test_of_very_many_deals_the_model_sees_the_worst_and_the_totals(
    kernel: Kernel,
) -> None:
    team = Team(kernel, nothing_more)
    past = TODAY - timedelta(days=30)
    moved = [
        Change(field="close_date", at=NOW - timedelta(days=90 - n), value=f"2026-0{n + 1}-01")
        for n in range(5)
    ]
    await team.knows(
        *(
            deal(number, close_date=past, next_step=None, name="N" * 200, changes=moved)
            for number in range(MANY)
        )
    )
    report = await team.runs("pipeline-hygiene")
    (asked,) = team.asked
    assert f"{MANY} open deals" in asked
    assert len(asked) < 40_000
    (told,) = re.findall(r"<deals>\n(.*)\n</deals>", asked)
    assert len(json.loads(told)) == 40
    values = {metric.label: metric.value for metric in report.metrics}
    assert values["Slipped"] == f"{MANY:,}"
    assert values["Deals to clean up"].endswith(" or more")
    assert "more problems are not listed" in (report.note or "")
    assert 200 <= len(report.findings) < MANY


async def test_what_a_model_makes_up_is_dropped(kernel: Kernel) -> None:
    true, false = "Our budget is frozen.", "They will sign with somebody else."

    def lies(asked: str) -> dict[str, Any]:
        if asked.startswith("Find the signs"):
            sign = {"kind": "budget", "severity": "high", "speaker": "Eve"}
            return {"signals": [sign | {"quote": quote} for quote in (true, false)]}
        invented = {"severity": "high", "comment": "It is lost.", "action": "Weep."}
        judged = {"severity": "low", "comment": "", "action": "Ask Eve."}
        return {
            "summary": "Two deals.",
            "deals": [invented | {"deal_id": "crm:99"}, judged | {"deal_id": "crm:1"}],
        }

    team = Team(kernel, lies)
    call = Conversation(
        id="c",
        modified_at=NOW,
        title="Call",
        at=NOW - timedelta(days=1),
        transcript=f"Ada: And now?\nEve: {true} I am sorry.",
        deals=("1",),
    )
    await team.knows(deal(1), deal(2), call)
    report = await team.runs("deal-risk-review")
    told = {finding.deal.id: finding for finding in report.findings if finding.deal}
    assert set(told) <= {"crm:1", "crm:2"}
    risky = told["crm:1"]
    assert "risk_signal" in (risky.kind, *risky.also)
    assert f"“{true}” (Eve, " in risky.title
    assert false not in report.model_dump_json()
    assert (risky.severity, risky.action) == ("low", "Ask Eve")
    assert "1 deals that are not in the data" in (report.note or "")
    assert "It is lost." not in report.model_dump_json()


async def test_a_conversation_that_no_model_can_read_is_counted_and_the_others_are_read(
    kernel: Kernel,
) -> None:
    def stumbles(asked: str) -> dict[str, Any]:
        if "Max: Hello" in asked:
            return {"nonsense": True}
        sign = {"kind": "timing", "severity": "high", "speaker": "Eve", "quote": "We will wait."}
        return {"signals": [sign]} if "Eve: We" in asked else nothing_more(asked)

    team = Team(kernel, stumbles)
    calls = [
        Conversation(
            id=said, modified_at=NOW, at=NOW - timedelta(days=1), transcript=said, deals=("1",)
        )
        for said in ("Max: Hello.", "Eve: We will wait.")
    ]
    await team.knows(deal(1), *calls)
    report = await team.runs("deal-risk-review")
    (finding,) = report.findings
    assert "“We will wait.”" in finding.title
    assert {metric.label: metric.value for metric in report.metrics}["Conversations read"] == "1"
    assert "could not read: 1." in (report.note or "")


@pytest.mark.parametrize("skill", NAMES)
async def test_deals_of_which_little_is_known_are_reported_all_the_same(
    kernel: Kernel, skill: str
) -> None:
    """No amount, currency, owner, stage, date: what a source leaves out stays open."""
    team = Team(kernel, nothing_more)
    bare = [
        Deal(id=f"{n}", modified_at=NOW, name="", created_at=NOW - timedelta(days=40 * n))
        for n in range(3)
    ]
    other = deal(9, currency="USD", close_date=TODAY - timedelta(days=2))
    won = deal(10, stage="won", closed_at=NOW - timedelta(days=1))
    await team.knows(*bare, other, won)
    report = await team.runs(skill)
    assert report.summary == "As it stands."
    assert {finding.deal.id for finding in report.findings if finding.deal} & {"crm:0", "crm:9"}


async def test_the_second_report_tells_what_is_new_and_what_is_gone(kernel: Kernel) -> None:
    team = Team(kernel, nothing_more)
    late = TODAY - timedelta(days=5)
    await team.knows(deal(1, close_date=late), deal(2, next_step=None), deal(3))
    first = await team.runs("pipeline-hygiene")
    assert first.changes is None
    later = NOW + timedelta(seconds=1)
    await team.knows(deal(2, modified_at=later), deal(3, modified_at=later, next_step=None))
    second = await team.runs("pipeline-hygiene")
    assert second.changes is not None
    assert (second.changes.new, second.changes.resolved, second.changes.still) == (1, 1, 1)
    assert second.changes.notes == ("No longer: Deal 2 (no next step)",)
    assert {f.deal.name: f.new for f in second.findings if f.deal} == {
        "Deal 1": False,
        "Deal 3": True,
    }
    # Of another scope, it is not compared.
    assert (await team.runs("pipeline-hygiene", stale_days=90)).changes is None
