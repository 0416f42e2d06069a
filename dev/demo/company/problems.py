"""What is wrong with which of the open deals; all others are as they should be."""

from __future__ import annotations

from typing import Literal, get_args

Problem = Literal[
    "stale",
    "slipped",
    "pushed",
    "single_threaded",
    "no_next_step",
    "missing_fields",
    "amount_cut",
    "stuck",
    "risk_signal",
]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)
Problems = frozenset[Problem]

# What is wrong with one deal, and how many deals there are of which just this is wrong.
MIX: dict[tuple[Problem, ...], int] = {
    ("stale",): 5,
    ("stale", "slipped"): 3,
    ("stale", "no_next_step"): 1,
    ("slipped",): 4,
    ("slipped", "pushed"): 1,
    ("pushed",): 4,
    ("pushed", "amount_cut"): 1,
    ("amount_cut",): 4,
    ("amount_cut", "risk_signal"): 1,
    ("single_threaded",): 5,
    ("single_threaded", "risk_signal"): 2,
    ("no_next_step",): 5,
    ("stuck", "no_next_step"): 2,
    ("stuck",): 5,
    ("missing_fields",): 6,
    ("risk_signal",): 8,
}


def every_deal(number: int) -> list[Problems]:
    """For each of so many open deals."""
    troubled = [frozenset(problems) for problems, deals in MIX.items() for _ in range(deals)]
    return troubled + [frozenset[Problem]()] * (number - len(troubled))
