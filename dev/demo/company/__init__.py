"""A software vendor that does not exist, and two years of its selling, up to a given day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from core.crm import (
    Account,
    Activity,
    Contact,
    Conversation,
    Deal,
    Kind,
    Owner,
    Pipeline,
    Quota,
    Record,
)
from dev.demo.company import days
from dev.demo.company.accounts import all_buyers
from dev.demo.company.conversations import PlantedSignal, conversations, spoken_of
from dev.demo.company.deals import sale
from dev.demo.company.lives import all_lives
from dev.demo.company.problems import PROBLEMS, Problem
from dev.demo.company.quotas import quotas
from dev.demo.company.sales import PLANS, SELLERS, VENDOR
from dev.demo.company.territory import Territory
from dev.demo.company.touches import all_touches

if TYPE_CHECKING:
    from datetime import date

__all__ = ["Company", "PlantedSignal", "Problem", "company"]


@dataclass(frozen=True)
class Company:
    """`planted`: what is wrong with which open deals; with all others nothing is."""

    today: date
    owners: tuple[Owner, ...]
    pipelines: tuple[Pipeline, ...]
    accounts: tuple[Account, ...]
    contacts: tuple[Contact, ...]
    deals: tuple[Deal, ...]
    activities: tuple[Activity, ...]
    conversations: tuple[Conversation, ...]
    quotas: tuple[Quota, ...]
    planted: dict[Problem, frozenset[str]]
    planted_signals: tuple[PlantedSignal, ...]

    def of(self, kind: Kind) -> tuple[Record, ...]:
        return getattr(self, kind)

    def lines(self, kind: Kind) -> str:
        """As JSONL that a source of files reads: of pipelines, a stage is a line."""
        rows = (row for record in self.of(kind) for row in _rows(record))
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _rows(record: Record) -> list[dict[str, Any]]:
    told = record.model_dump(mode="json", exclude={"kind", "deleted"})
    if not isinstance(record, Pipeline):
        return [told]
    stages = told.pop("stages")
    return [
        told
        | stage
        | {"id": record.id, "name": record.name, "stage": stage["id"]}
        | {"stage_name": stage["name"]}
        for stage in stages
    ]


def company(today: date) -> Company:
    """The same day gives the same company, byte for byte; nothing in it is of that day or later."""
    rng = Random(f"{VENDOR} {today}")
    # Whatever is told of another day is newer or older as a whole.
    stamp = days.midnight(today)
    buyers = all_buyers(today, stamp)
    territory = Territory(rng, buyers)
    sales = [
        sale(rng, number, life, territory.account_for(life), today, stamp)
        for number, life in enumerate(all_lives(rng, today), 1)
    ]
    said = spoken_of(rng, sales)
    touches = all_touches(rng, sales, said, stamp)
    recorded, signals = conversations(rng, touches, said, stamp)
    return Company(
        today=today,
        owners=tuple(seller.record(stamp) for seller in SELLERS),
        pipelines=tuple(plan.record(number, stamp) for number, plan in enumerate(PLANS)),
        accounts=tuple(buyer.record for buyer in buyers),
        contacts=tuple(person for buyer in buyers for person in buyer.people),
        deals=tuple(sale.record for sale in sales),
        activities=tuple(touch.record for touch in touches),
        conversations=tuple(recorded),
        quotas=tuple(quotas(sales, today, stamp)),
        planted={
            problem: frozenset(sale.record.id for sale in sales if problem in sale.life.problems)
            for problem in PROBLEMS
        },
        planted_signals=tuple(signals),
    )
