"""Transcripts, put together from the pieces in `said/` so that no two read the same.

A piece is some lines, and an empty line ends it. S sells, B and C buy; `[a|b]` is said one way or
the other; `!` marks the line that tells of a risk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dev.demo.company.names import GIVEN
from dev.demo.company.words import PRODUCTS

if TYPE_CHECKING:
    from datetime import date
    from random import Random

    from dev.demo.company.deals import Sale
    from dev.demo.company.touches import Phase

Kind = Literal[
    "competitor",
    "budget_frozen",
    "champion_leaves",
    "review_blocked",
    "timeline_slipped",
    "price_pushback",
]
CHOICE = re.compile(r"\[([^\[\]]*)\]")
LINE = re.compile(r"(?P<telling>!)?(?P<speaker>[SBC]): (?P<said>.*)")
OTHER = re.compile("!?C:")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
RIVALS = ("Mossgate", "Plinthworks", "Kettlebrook", "Tallowfield")
SAID = Path(__file__).with_name("said")


@dataclass(frozen=True)
class Talk:
    text: str
    # What was said that tells of a risk, in these very words.
    telling: str | None


def talk(
    rng: Random, sale: Sale, phase: Phase, day: date, said: Kind | Literal["harmless"] | None
) -> Talk:
    words = _words(rng, sale, day)
    # Nobody talks to a second buyer who is not there.
    alone = words["B"] == words["C"]
    openings, topics, closings = (
        _pieces(name, alone=alone) for name in ("openings", phase, "closings")
    )
    middle = rng.sample(topics, rng.choices((1, 2, 3, 4, 5), (2, 4, 4, 3, 1))[0])
    if said is not None:
        middle.insert(rng.randint(1, len(middle)), rng.choice(_pieces(said, alone=alone)))
    # Whoever is named in a piece is named in no other.
    others = [name for name in rng.sample(GIVEN, len(GIVEN)) if name not in words.values()]
    turns: list[tuple[str, list[str]]] = []
    telling = None
    for piece in (rng.choice(openings), *middle, rng.choice(closings)):
        words["colleague"] = others.pop()
        for line in piece:
            read = LINE.fullmatch(_chosen(rng, line).format(**words))
            assert read, line
            speaker = words[read["speaker"]]
            if turns and turns[-1][0] == speaker:
                turns[-1][1].append(read["said"])
            else:
                turns.append((speaker, [read["said"]]))
            telling = read["said"] if read["telling"] else telling
    return Talk("\n".join(f"{who}: {' '.join(sentences)}" for who, sentences in turns), telling)


@cache
def _pieces(name: str, *, alone: bool) -> list[list[str]]:
    text = (SAID / f"{name}.txt").read_text(encoding="utf-8")
    pieces = [piece.splitlines() for piece in text.strip().split("\n\n")]
    return [piece for piece in pieces if not (alone and any(OTHER.match(line) for line in piece))]


def _chosen(rng: Random, line: str) -> str:
    return CHOICE.sub(lambda found: rng.choice(found[1].split("|")), line)


def _words(rng: Random, sale: Sale, day: date) -> dict[str, str]:
    people = [person.name for person in sale.people]
    given = [name.split()[0] for name in people]
    seller = sale.seller_on(day).name.split()[0]
    quarter = (day.month - 1) // 3 + 1
    return {
        "S": seller,
        "B": given[0],
        "C": next((name for name in given if name != given[0]), given[0]),
        "me": seller,
        "who": given[0],
        "account": sale.buyer.record.name,
        "product": rng.choice(PRODUCTS[1:]),
        "rival": rng.choice(RIVALS),
        "weekday": rng.choice(WEEKDAYS),
        "crews": str(rng.randint(4, 60)),
        "sites": rng.choice(("two", "three", "four", "five", "six")),
        "seats": str(rng.randrange(10, 90, 5)),
        "percent": str(rng.choice((15, 20, 25, 30))),
        "hours": rng.choice(("two", "three", "four", "six")),
        "quarter": f"Q{quarter}",
        "later": f"Q{quarter % 4 + 1}",
    }
