"""How the company sells: its teams, its pipelines, and what deals are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.crm import Outcome, Owner, Pipeline, Stage

if TYPE_CHECKING:
    from datetime import datetime

VENDOR = "Larkspindle"


@dataclass(frozen=True)
class Step:
    """A stage of open deals; `days` is how long they usually stay in it."""

    id: str
    name: str
    probability: float
    days: int
    forecast: str


@dataclass(frozen=True)
class Plan:
    id: str
    name: str
    steps: tuple[Step, ...]
    ends: dict[Outcome, str]
    deals: dict[Outcome, int]
    # How often a lost deal is lost in each of its stages.
    lost_in: tuple[int, ...]
    # Of a segment's usual amount.
    worth: float

    def end(self, outcome: Outcome) -> str:
        return f"{self.id}-{outcome}"

    def record(self, position: int, stamp: datetime) -> Pipeline:
        open_stages = [
            Stage(id=step.id, name=step.name, position=n, probability=step.probability)
            for n, step in enumerate(self.steps)
        ]
        ends = [
            Stage(
                id=self.end(outcome),
                name=name,
                position=len(self.steps) + n,
                probability=float(outcome == "won"),
                outcome=outcome,
            )
            for n, (outcome, name) in enumerate(self.ends.items())
        ]
        return Pipeline(
            id=self.id,
            name=self.name,
            position=position,
            stages=(*open_stages, *ends),
            modified_at=stamp,
        )


NEW = Plan(
    id="new",
    name="New business",
    steps=(
        Step("new-qualified", "Qualified", 0.1, 16, "pipeline"),
        Step("new-discovery", "Discovery", 0.2, 26, "pipeline"),
        Step("new-evaluation", "Evaluation", 0.4, 38, "best_case"),
        Step("new-proposal", "Proposal", 0.6, 28, "best_case"),
        Step("new-negotiation", "Negotiation", 0.8, 22, "commit"),
    ),
    ends={"won": "Closed won", "lost": "Closed lost"},
    deals={"won": 58, "lost": 84, "open": 48},
    lost_in=(3, 4, 4, 3, 2),
    worth=1.0,
)
EXPANSION = Plan(
    id="expansion",
    name="Expansion",
    steps=(
        Step("expansion-identified", "Identified", 0.2, 24, "pipeline"),
        Step("expansion-scoping", "Scoping", 0.4, 24, "best_case"),
        Step("expansion-proposal", "Proposal", 0.65, 22, "best_case"),
        Step("expansion-negotiation", "Negotiation", 0.85, 20, "commit"),
    ),
    ends={"won": "Closed won", "lost": "Closed lost"},
    deals={"won": 46, "lost": 30, "open": 26},
    lost_in=(3, 3, 2, 1),
    worth=0.35,
)
RENEWAL = Plan(
    id="renewal",
    name="Renewal",
    steps=(
        Step("renewal-upcoming", "Upcoming", 0.7, 45, "best_case"),
        Step("renewal-discussion", "In discussion", 0.8, 35, "best_case"),
        Step("renewal-quote", "Quote sent", 0.9, 22, "commit"),
    ),
    ends={"won": "Renewed", "lost": "Churned"},
    deals={"won": 70, "lost": 16, "open": 26},
    lost_in=(1, 3, 2),
    worth=0.85,
)
PLANS = (NEW, EXPANSION, RENEWAL)


@dataclass(frozen=True)
class Seller:
    id: str
    name: str
    team: str
    active: bool = True

    def record(self, stamp: datetime) -> Owner:
        return Owner(
            id=self.id,
            name=self.name,
            email=f"{self.name.lower().replace(' ', '.')}@{VENDOR.lower()}.example",
            team=self.team,
            active=self.active,
            modified_at=stamp,
        )


SELLERS = (
    Seller("o-01", "Ines Marrowby", "Enterprise"),
    Seller("o-02", "Tobias Quenby", "Enterprise"),
    Seller("o-03", "Adaeze Thornwell", "Enterprise"),
    Seller("o-04", "Lucas Fennimore", "Mid-market"),
    Seller("o-05", "Priya Oakhollow", "Mid-market"),
    Seller("o-06", "Sanne Wexcombe", "Mid-market"),
    Seller("o-07", "Mateo Birdwhistle", "Mid-market"),
    Seller("o-08", "Hana Tillgrove", "Customers"),
    Seller("o-09", "Owen Plumridge", "Customers"),
    Seller("o-10", "Leila Starbeck", "Customers"),
    Seller("o-11", "Gregor Nettlefold", "Mid-market", active=False),
)


@dataclass(frozen=True)
class Segment:
    name: str
    team: str
    accounts: int
    employees: tuple[int, int]
    contacts: tuple[int, int]
    amount: tuple[int, int]


SEGMENTS = (
    Segment("Enterprise", "Enterprise", 36, (2_000, 14_000), (5, 7), (95_000, 310_000)),
    Segment("Mid-market", "Mid-market", 66, (200, 1_900), (3, 4), (28_000, 92_000)),
    Segment("Small business", "Mid-market", 78, (20, 190), (2, 3), (7_000, 26_000)),
)
