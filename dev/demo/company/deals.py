"""The deals with their histories, each ending in what the deal is today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from core.crm import Change, Deal, DealContact
from dev.demo.company import amounts, closes, days
from dev.demo.company.sales import SELLERS, VENDOR
from dev.demo.company.words import LOST_REASONS, NEXT_STEPS, OFFERS, ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from random import Random

    from core.crm import ChangedField, Contact
    from dev.demo.company.accounts import Buyer
    from dev.demo.company.lives import Life
    from dev.demo.company.sales import Seller

LEFT = timedelta(days=280)  # ago, when the colleague who is gone went
GONE = next(seller for seller in SELLERS if not seller.active)
TO_THE_GONE = 0.4  # of the deals of his team
SMALL = 12_000


@dataclass(frozen=True)
class Sale:
    """A deal with all that its activities and conversations are made of.

    `sellers` are whose it was, each from a day on.
    """

    record: Deal
    life: Life
    buyer: Buyer
    sellers: tuple[tuple[date, Seller], ...]
    people: tuple[Contact, ...]

    def seller_on(self, day: date) -> Seller:
        return [seller for since, seller in self.sellers if since <= day][-1]


def sale(rng: Random, number: int, life: Life, buyer: Buyer, today: date, stamp: datetime) -> Sale:
    id_ = f"d-{number:04}"
    price = amounts.path(rng, life, buyer.segment, today)
    expected = closes.path(rng, life, today)
    sellers = _sellers(rng, life, buyer, today)
    people = _people(rng, life, buyer, price[-1][1] if price else Decimal(0))
    stages = [(visit.since, visit.step.id, visit.step.forecast) for visit in life.visits]
    if life.ended:
        stages.append((life.ended, life.plan.end(life.outcome), "closed"))
    lost = life.outcome == "lost"
    record = Deal(
        id=id_,
        name=f"{buyer.record.name} – {_offer(rng, life)}",
        pipeline=life.plan.id,
        stage=stages[-1][1],
        amount=price[-1][1] if price else None,
        currency="USD",
        close_date=expected[-1][1] if expected else None,
        owner=sellers[-1][1].id,
        account=buyer.record.id,
        segment=buyer.segment.name,
        forecast_category=stages[-1][2],
        next_step=_next_step(rng, life, people),
        lost_reason=rng.choice(list(LOST_REASONS)) if lost else None,
        url=f"https://crm.{VENDOR.lower()}.example/deals/{id_}",
        created_at=days.opening_hour(life.created),
        closed_at=days.closing_hour(life.ended) if life.ended else None,
        contacts=tuple(
            DealContact(contact=person.id, role=role)
            for person, role in zip(people, ROLES, strict=False)
        ),
        changes=_history(
            rng,
            life,
            ("stage", [(day, stage) for day, stage, _ in stages]),
            ("forecast_category", [(day, forecast) for day, _, forecast in stages]),
            ("amount", price),
            ("close_date", expected),
            ("owner", [(day, seller.id) for day, seller in sellers]),
        ),
        modified_at=stamp,
    )
    return Sale(record, life, buyer, sellers, people)


def _history(
    rng: Random, life: Life, *paths: tuple[ChangedField, Iterable[tuple[date, object]]]
) -> tuple[Change, ...]:
    changes: list[Change] = []
    # What changes on one day changes at once.
    moments = {life.created: days.opening_hour(life.created)}
    if life.ended:
        moments[life.ended] = days.closing_hour(life.ended)
    for field, path in paths:
        before = None
        for day, value in path:
            if value != before:
                at = moments.setdefault(day, days.between(rng, day))
                changes.append(Change(field=field, at=at, value=str(value)))
            before = value
    return tuple(sorted(changes, key=lambda change: change.at))


def _sellers(rng: Random, life: Life, buyer: Buyer, today: date) -> tuple[tuple[date, Seller], ...]:
    seller = buyer.seller if life.plan.id == "new" else buyer.keeper
    left = days.workday_until(today - LEFT)
    if seller.team != GONE.team or life.created >= left or rng.random() > TO_THE_GONE:
        return ((life.created, seller),)
    began = (life.created, GONE)
    return (began,) if life.ended and life.ended < left else (began, (left, seller))


def _people(rng: Random, life: Life, buyer: Buyer, amount: Decimal) -> tuple[Contact, ...]:
    most = min(4, len(buyer.people))
    if "single_threaded" in life.problems:
        most = least = 1
    elif life.outcome == "open":
        # One contact will do for what is small and has just begun.
        least = 1 if amount < SMALL and life.step.probability < 0.5 else 2
    else:
        least = 1
    return tuple(rng.sample(buyer.people, rng.randint(least, most)))


def _offer(rng: Random, life: Life) -> str:
    if life.plan.id == "renewal":
        return f"renewal {(life.ended or life.created + timedelta(days=90)).year}"
    return rng.choice(OFFERS[life.plan.id])


def _next_step(rng: Random, life: Life, people: tuple[Contact, ...]) -> str | None:
    if life.outcome != "open" or "no_next_step" in life.problems:
        return None
    return rng.choice(NEXT_STEPS[life.step.id]).format(who=rng.choice(people).name.split()[0])
