"""A small company's business data, and the tools that are asked about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core.crm import (
    Account,
    Activity,
    Change,
    Contact,
    Conversation,
    Deal,
    DealContact,
    Owner,
    Pipeline,
    Stage,
)
from core.tool import Actor, RunContext, ToolContext
from store.crm.asking import CRM
from store.workspaces import Workspaces
from tests.integration.told import ToldRecords
from tools.crm import NoCRM, crm_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.crm import Record
    from store.pool import Pool

# Postgres writes fewer digits of a fraction than Python does: whole seconds read the same.
NOW = datetime.now(UTC).replace(microsecond=0)
# Where it is noon now, so that no midnight passes during a test.
AT_NOON = f"Etc/GMT{NOW.hour - 12:+d}"

SALES = Pipeline(
    id="sales",
    modified_at=NOW,
    name="Sales",
    position=0,
    stages=(
        Stage(id="new", name="New", position=0, probability=0.1),
        Stage(id="demo", name="Demo", position=1, probability=0.4),
        Stage(id="offer", name="Offer", position=2, probability=0.7),
        Stage(id="won", name="Won", position=3, probability=1, outcome="won"),
        Stage(id="lost", name="Lost", position=4, probability=0, outcome="lost"),
    ),
)
RENEWALS = Pipeline(
    id="renewals",
    modified_at=NOW,
    name="Renewals",
    position=1,
    stages=(
        Stage(id="due", name="Due", position=0),
        Stage(id="talks", name="Talks", position=1),
        Stage(id="won", name="Renewed", position=2, outcome="won"),
    ),
)


def at(days_ago: float) -> datetime:
    return NOW - timedelta(days=days_ago)


def day(days_ago: int) -> date:
    """Where it is noon."""
    return (NOW + timedelta(hours=12 - NOW.hour)).date() - timedelta(days=days_ago)


def deal(id: str, amount: float | None = 1000, **fields: Any) -> Deal:
    """Open, with nothing missing, unless `fields` say something else."""
    told: dict[str, Any] = {
        "name": f"Deal {id}",
        "pipeline": "sales",
        "stage": "new",
        "amount": None if amount is None else Decimal(str(amount)),
        "currency": "EUR",
        "close_date": day(-30),
        "owner": "ada",
        "account": "initech",
        "next_step": "Call them",
        "created_at": at(50),
        "modified_at": NOW,
        **fields,
    }
    return Deal(id=id, **told)


def stages(*passed: tuple[str, float]) -> tuple[Change, ...]:
    """Each stage, and how many days ago it was entered."""
    return tuple(Change(field="stage", at=at(ago), value=stage) for stage, ago in passed)


def touch(deal: str, days_ago: float, **fields: Any) -> Activity:
    return Activity(
        id=f"{deal}-{days_ago}", modified_at=NOW, type="call", at=at(days_ago), deals=(deal,),
        **{"owner": "ada", **fields},
    )  # fmt: skip


def talk(id: str, days_ago: float, *deals: str, **fields: Any) -> Conversation:
    return Conversation(id=id, modified_at=NOW, at=at(days_ago), deals=deals, **fields)


def people(deal: str, *roles: str) -> tuple[DealContact, ...]:
    return tuple(DealContact(contact=f"{deal}-{role}", role=role) for role in roles)


PEOPLE: tuple[Record, ...] = (
    SALES,
    RENEWALS,
    Owner(id="ada", modified_at=NOW, name="Ada", email="ada@example.com", team="West"),
    Owner(id="bo", modified_at=NOW, name="Bo", email="bo@example.com"),
    Account(id="initech", modified_at=NOW, name="Initech", domain="initech.example", segment="SMB"),
    Account(id="hooli", modified_at=NOW, name="Hooli", segment="Enterprise", owner="bo"),
)


class Current:
    """Making the tools takes longer than asking them, so they are made once, for all databases."""

    def __init__(self) -> None:
        self.crm: CRM | NoCRM = NoCRM()

    async def ask(self, query: str, workspace: str, arguments: Mapping[str, Any]) -> Any:
        return await self.crm.ask(query, workspace, arguments)


CURRENT = Current()
TOOLS = {tool.name: tool for tool in crm_tools(CURRENT)}


@dataclass(frozen=True)
class Sales:
    """One workspace; its source is `crm`, so deal `d` has the id `crm:d`."""

    pool: Pool
    crm: CRM
    workspace: str

    async def tell(self, *records: Record) -> None:
        await ToldRecords(self.pool).write(self.workspace, "crm", records, sync="s")

    async def ask(self, tool: str, **arguments: Any) -> Any:
        """As a step does it: the arguments are checked, then the tool is called."""
        run = RunContext(
            workspace=self.workspace, run="r", lineage="r", path="a",
            actor=Actor(kind="system", id="test"),
        )  # fmt: skip
        chosen = TOOLS[f"crm_{tool}"]
        CURRENT.crm = self.crm
        context = ToolContext(run=run, effect_key="k")
        return await chosen.call(chosen.arguments.model_validate(arguments), context)

    async def found(self, tool: str, **arguments: Any) -> list[str]:
        """Ids of the deals of a list, in its order, without the source's name."""
        answer = await self.ask(tool, **arguments)
        return [each["deal_id"].removeprefix("crm:") for each in answer["deals"]]

    async def one(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The only deal of a list."""
        (only,) = (await self.ask(tool, **arguments))["deals"]
        return only


async def open_sales(pool: Pool, workspace: str, timezone: str = AT_NOON) -> Sales:
    await Workspaces(pool).create(workspace, workspace, timezone)
    return Sales(pool, CRM(pool), workspace)


def contact(id: str, name: str = "Cleo", **fields: Any) -> Contact:
    return Contact(id=id, name=name, **{"modified_at": NOW, **fields})
