"""Whom the company sells to. They stay who they are, whatever the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from core.crm import Account, Contact
from dev.demo.company import days
from dev.demo.company.names import FAMILY, FIRST, GIVEN, SECOND
from dev.demo.company.sales import SEGMENTS, SELLERS, VENDOR, Segment

if TYPE_CHECKING:
    from datetime import date, datetime

    from dev.demo.company.sales import Seller

BEFORE = timedelta(days=1_100)  # ago, when all accounts were known: no deal is as old
INDUSTRIES = {
    "Logistics": ("Freight", "Haulage", "Cold Chain"),
    "Manufacturing": ("Tools", "Castings", "Packaging"),
    "Healthcare": ("Clinics", "Dental", "Home Care"),
    "Retail": ("Outfitters", "Groceries", "Furnishings"),
    "Energy": ("Solar", "Heating", "Grid Services"),
    "Construction": ("Roofing", "Interiors", "Site Services"),
    "Hospitality": ("Hotels", "Catering", "Resorts"),
    "Facilities": ("Cleaning", "Lifts", "Property Care"),
}
TITLES = (
    "Head of Operations",
    "Chief Financial Officer",
    "IT Manager",
    "Director of Field Service",
    "Procurement Manager",
    "Operations Analyst",
    "Managing Director",
)
CUSTOMERS = 0.22  # of the accounts bought before the history begins


@dataclass(frozen=True)
class Buyer:
    """`seller` wins it, `keeper` keeps it."""

    record: Account
    segment: Segment
    people: tuple[Contact, ...]
    seller: Seller
    keeper: Seller
    customer: bool


def all_buyers(today: date, stamp: datetime) -> list[Buyer]:
    rng = Random(VENDOR)
    stems = [first + second for first in FIRST for second in SECOND]
    rng.shuffle(stems)
    segments = [segment for segment in SEGMENTS for _ in range(segment.accounts)]
    rng.shuffle(segments)
    people = [f"{given} {family}" for given in GIVEN for family in FAMILY]
    rng.shuffle(people)
    return [
        _buyer(rng, number, segment, stems[number], people, today - BEFORE, stamp)
        for number, segment in enumerate(segments)
    ]


def _buyer(
    rng: Random,
    number: int,
    segment: Segment,
    stem: str,
    people: list[str],
    before: date,
    stamp: datetime,
) -> Buyer:
    industry = rng.choice(list(INDUSTRIES))
    trade = rng.choice(INDUSTRIES[industry])
    sellers = [seller for seller in SELLERS if seller.active and seller.team == segment.team]
    keepers = [seller for seller in SELLERS if seller.team == "Customers"]
    seller, keeper = sellers[number % len(sellers)], keepers[number % len(keepers)]
    customer = rng.random() < CUSTOMERS
    domain = f"{stem.lower()}-{trade.lower().replace(' ', '-')}.example"
    known = days.workday_until(before - timedelta(days=rng.randrange(900)))
    account = Account(
        id=f"a-{number + 1:03}",
        name=f"{stem} {trade}",
        domain=domain,
        industry=industry,
        segment=segment.name,
        employees=rng.randint(*segment.employees),
        owner=(keeper if customer else seller).id,
        url=f"https://crm.{VENDOR.lower()}.example/accounts/a-{number + 1:03}",
        created_at=days.opening_hour(known),
        modified_at=stamp,
    )
    titles = rng.sample(TITLES, rng.randint(*segment.contacts))
    contacts = [
        _contact(people.pop(), title, f"c-{number + 1:03}-{n}", domain, account)
        for n, title in enumerate(titles, 1)
    ]
    return Buyer(account, segment, tuple(contacts), seller, keeper, customer)


def _contact(name: str, title: str, id_: str, domain: str, account: Account) -> Contact:
    return Contact(
        id=id_,
        name=name,
        email=f"{name.lower().replace(' ', '.')}@{domain}",
        title=title,
        account=account.id,
        owner=account.owner,
        url=f"https://crm.{VENDOR.lower()}.example/contacts/{id_}",
        created_at=account.created_at,
        modified_at=account.modified_at,
    )
