"""When a deal began, moved and ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import log
from typing import TYPE_CHECKING

from dev.demo.company import days
from dev.demo.company.problems import every_deal
from dev.demo.company.sales import PLANS

if TYPE_CHECKING:
    from datetime import date
    from random import Random

    from core.crm import Outcome
    from dev.demo.company.problems import Problem, Problems
    from dev.demo.company.sales import Plan, Step

HISTORY = timedelta(days=730)  # in which all that is closed was closed
GROWTH = 1.4  # more deals end at the end of the history than at its start, by this share
SPREAD = 0.35  # of the logarithm of the time in a stage
# Times in a stage, against the usual one. Between them is room: what a tool reckons usual is
# a median of some dozens, and workdays move the dates by up to four days.
LIVELY, SLOW, STUCK = 1.3, 1.45, (3.2, 4.5)
QUIET = 17  # days at the least in which nothing happened to a stale deal
LAST_TOUCH = 7  # days at the most since something happened to any other
LEAST_AGE: dict[Problem, int] = {"pushed": 80, "slipped": 50, "amount_cut": 45}


@dataclass(frozen=True)
class Visit:
    step: Step
    since: date


@dataclass(frozen=True)
class Life:
    """`touched` is the last day on which something happened to it."""

    plan: Plan
    outcome: Outcome
    visits: tuple[Visit, ...]
    touched: date
    problems: Problems

    @property
    def created(self) -> date:
        return self.visits[0].since

    @property
    def ended(self) -> date | None:
        return None if self.outcome == "open" else self.touched

    @property
    def step(self) -> Step:
        return self.visits[-1].step


def all_lives(rng: Random, today: date) -> list[Life]:
    """In the order in which they began."""
    start = today - HISTORY
    ending = days.workdays(start, today - days.DAY)
    lives: list[Life] = []
    for plan in PLANS:
        for outcome in ("won", "lost"):
            chances = [_chance(day, start, outcome) for day in ending]
            ends = rng.choices(ending, chances, k=plan.deals[outcome])
            lives += [_ended(rng, plan, outcome, end) for end in ends]
    open_plans = [plan for plan in PLANS for _ in range(plan.deals["open"])]
    problems = every_deal(len(open_plans))
    rng.shuffle(problems)
    lives += [
        _open(rng, plan, troubles, today)
        for plan, troubles in zip(open_plans, problems, strict=True)
    ]
    return sorted(lives, key=lambda life: life.created)


def _chance(day: date, start: date, outcome: Outcome) -> float:
    growth = 1 + GROWTH * ((day - start) / HISTORY)
    # What is lost is given up at any time, if not in the holidays.
    return growth * (days.closing(day) if outcome == "won" else days.pace(day))


def _ended(rng: Random, plan: Plan, outcome: Outcome, end: date) -> Life:
    last = len(plan.steps)
    if outcome == "lost":
        last = rng.choices(range(1, last + 1), plan.lost_in)[0]
    steps = plan.steps[:last]
    visits = _backwards(rng, steps, end)
    return Life(plan, outcome, visits, end, frozenset())


def _open(rng: Random, plan: Plan, problems: Problems, today: date) -> Life:
    steps = [(n, step) for n, step in enumerate(plan.steps) if _suits(plan, n, problems)]
    oldest = max((LEAST_AGE.get(problem, 0) for problem in problems), default=0)
    while True:
        at, step = rng.choice(steps)
        quiet = rng.randint(QUIET, int(SLOW * step.days)) if "stale" in problems else 0
        entered = days.workday_until(today - _in_stage(rng, step, problems, quiet) * days.DAY)
        visits = (*_backwards(rng, plan.steps[:at], entered), Visit(step, entered))
        if (today - visits[0].since).days >= oldest:
            break
    touched = today - (quiet or rng.randint(1, LAST_TOUCH)) * days.DAY
    return Life(plan, "open", visits, max(entered, days.workday_until(touched)), problems)


def _suits(plan: Plan, at: int, problems: Problems) -> bool:
    step = plan.steps[at]
    late = at >= len(plan.steps) - 2
    # Nobody calls a deal stale that has just begun, or stuck that has not really.
    return (
        ("single_threaded" not in problems or late)
        and ("stale" not in problems or step.days >= 20)
        and ("stuck" not in problems or step.days <= 30)
        and (not LEAST_AGE.keys() & problems or at > 0)
    )


def _in_stage(rng: Random, step: Step, problems: Problems, quiet: int) -> int:
    if "stuck" in problems:
        return round(step.days * rng.uniform(*STUCK))
    if quiet:
        return rng.randint(quiet, int(SLOW * step.days))
    return rng.randint(1, int(LIVELY * step.days))


def _backwards(rng: Random, steps: tuple[Step, ...], until: date) -> tuple[Visit, ...]:
    visits: list[Visit] = []
    for step in reversed(steps):
        usual = rng.lognormvariate(log(step.days), SPREAD)
        stay = min(max(usual, 0.4 * step.days), 2.2 * step.days)
        until = days.workday_until(until - round(stay) * days.DAY)
        visits.append(Visit(step, until))
    return tuple(reversed(visits))
