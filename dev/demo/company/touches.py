"""What the sellers did: mails, calls and meetings in the rhythm of working days."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp
from typing import TYPE_CHECKING, Literal, get_args

from core.crm import Activity
from dev.demo.company import days
from dev.demo.company.words import BODIES, PRODUCTS, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import date, datetime
    from random import Random

    from dev.demo.company.deals import Sale

Phase = Literal["early", "middle", "late", "customer", "renewal"]
Type = Literal["email", "call", "meeting", "note", "task"]
TYPES: tuple[Type, ...] = get_args(Type)
SHARES = (50, 22, 14, 9, 5)
Last = Literal["spoken", "any"]
SPOKEN: tuple[Type, ...] = ("call", "meeting")
OFTEN = 0.28  # touches on a usual working day of a deal that is far from its end
NEAR = 10  # days before the end in which it gets busy
INSIDE = ("note", "task")
CALLS_END = ("connected", "connected", "connected", "left a message")


@dataclass(frozen=True)
class Touch:
    sale: Sale
    at: datetime
    record: Activity

    @property
    def spoken(self) -> bool:
        return self.record.type in SPOKEN and self.record.outcome != "left a message"


def all_touches(
    rng: Random, sales: list[Sale], spoken: Container[str], stamp: datetime
) -> list[Touch]:
    """In their order. The last one of the `spoken` deals was a talk."""
    made = [
        touch
        for sale in sales
        for touch in _touches(rng, sale, "spoken" if sale.record.id in spoken else "any", stamp)
    ]
    made.sort(key=lambda touch: (touch.at, touch.sale.record.id))
    return [
        replace(touch, record=touch.record.model_copy(update={"id": f"t-{number:05}"}))
        for number, touch in enumerate(made, 1)
    ]


def _touches(rng: Random, sale: Sale, last: Last, stamp: datetime) -> list[Touch]:
    life = sale.life
    end = life.ended or sale.record.close_date or life.touched
    on = [
        day
        for day in days.workdays(life.created, life.touched - days.DAY)
        if rng.random() < _chance(day, end)
    ]
    made = [_touch(rng, sale, day, rng.choices(TYPES, SHARES)[0], stamp) for day in on]
    type_ = "meeting" if last == "spoken" else rng.choices(TYPES, SHARES)[0]
    return [*made, _touch(rng, sale, life.touched, type_, stamp)]


def phase(sale: Sale, day: date) -> Phase:
    plan = sale.life.plan
    if plan.id == "renewal":
        return "renewal"
    first: Phase = "customer" if plan.id == "expansion" else "early"
    phases: tuple[Phase, ...] = (first, "middle", "late")
    at = max(n for n, visit in enumerate(sale.life.visits) if n == 0 or visit.since <= day)
    return phases[at * len(phases) // len(plan.steps)]


def _chance(day: date, end: date) -> float:
    return OFTEN * days.pace(day) * (1 + 2 * exp(-max((end - day).days, 0) / NEAR))


def _touch(rng: Random, sale: Sale, day: date, type_: Type, stamp: datetime) -> Touch:
    met = rng.sample(sale.people, min(len(sale.people), 3 if type_ == "meeting" else 1))
    words = {
        "who": met[0].name.split()[0],
        "product": rng.choice(PRODUCTS),
        "account": sale.buyer.record.name,
        "industry": (sale.buyer.record.industry or "").lower(),
    }
    at = days.between(rng, day)
    record = Activity(
        id="t",
        type=type_,
        at=at,
        subject=rng.choice(SUBJECTS[type_][phase(sale, day)]).format(**words),
        body=rng.choice(BODIES[type_]).format(**words),
        direction=None if type_ in (*INSIDE, "meeting") else rng.choice(("in", "out", "out")),
        outcome=rng.choice(CALLS_END) if type_ == "call" else None,
        owner=sale.seller_on(day).id,
        account=sale.buyer.record.id,
        deals=(sale.record.id,),
        contacts=() if type_ in INSIDE else tuple(person.id for person in met),
        modified_at=stamp,
    )
    return Touch(sale, at, record)
