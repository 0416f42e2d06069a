"""What a report found of what there is, and whether all it says is so. Pure functions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.report import Finding, Report
from evals.claims import claims, supported

ENOUGH = 0.9
SHOWN = ("name", "url", "amount", "currency", "stage", "owner")


@dataclass(frozen=True)
class Truth:
    """`of_kind` has, by kind, the deals it is true of and what a finding of it has to say of each;
    `planted` the deals a kind was planted in; `records` all that is known of a deal, as text."""

    cards: Mapping[str, Mapping[str, Any]]
    of_kind: Mapping[str, Mapping[str, tuple[str, ...]]]
    counts: Mapping[str, int]
    records: Mapping[str, str]
    planted: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


@dataclass(frozen=True)
class Found:
    expected: int
    found: int
    missed: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        return self.found / self.expected if self.expected else 1.0


@dataclass(frozen=True)
class Score:
    kinds: dict[str, Found]
    planted: dict[str, Found]
    invented: tuple[str, ...]
    wrong: tuple[str, ...]
    unlinked: tuple[str, ...]

    @property
    def passed(self) -> bool:
        enough = all(
            each.share >= ENOUGH for each in (*self.kinds.values(), *self.planted.values())
        )
        return enough and not (self.invented or self.wrong or self.unlinked)

    def as_json(self) -> dict[str, Any]:
        def table(of: Mapping[str, Found]) -> dict[str, Any]:
            return {
                kind: {"expected": each.expected, "found": each.found, "missed": list(each.missed)}
                for kind, each in of.items()
            }

        return {
            "passed": self.passed,
            "kinds": table(self.kinds),
            "planted": table(self.planted),
            "invented": list(self.invented),
            "wrong": list(self.wrong),
            "unlinked": list(self.unlinked),
        }


def score(report: Report, truth: Truth) -> Score:
    told: dict[str, set[str]] = {kind: set() for kind in truth.of_kind}
    for kind, finding in _problems(report):
        told.setdefault(kind, set()).add(_id(finding))
    return Score(
        kinds={kind: _found(deals.keys(), told[kind]) for kind, deals in truth.of_kind.items()},
        planted={
            kind: _found(deals, told.get(kind, set())) for kind, deals in truth.planted.items()
        },
        invented=tuple(_invented(report, truth)),
        wrong=tuple(_wrong(report, truth)),
        unlinked=tuple(_unlinked(report, truth)),
    )


def _problems(report: Report) -> Iterator[tuple[str, Finding]]:
    for finding in report.findings:
        for kind in (finding.kind, *finding.also):
            yield kind, finding


def _id(finding: Finding) -> str:
    return finding.deal.id if finding.deal else ""


def _found(expected: Iterable[str], told: set[str]) -> Found:
    wanted = set(expected)
    return Found(len(wanted), len(wanted & told), tuple(sorted(wanted - told)))


def _invented(report: Report, truth: Truth) -> Iterator[str]:
    for kind, finding in _problems(report):
        deal = _id(finding)
        if deal not in truth.cards:
            yield f"{kind}: there is no deal {deal!r}"
        elif deal not in truth.of_kind.get(kind, {}):
            yield f"{kind}: it is not so of {deal}"
        elif kind in truth.planted and deal not in truth.planted[kind]:
            yield f"{kind}: it was not planted in {deal}"
    seen = Counter(_id(finding) for finding in report.findings)
    yield from (f"{deal} is there {many} times" for deal, many in seen.items() if many > 1)


def _wrong(report: Report, truth: Truth) -> Iterator[str]:
    for finding in report.findings:
        if finding.deal is None or finding.deal.id not in truth.cards:
            continue
        deal, card = finding.deal, truth.cards[finding.deal.id]
        for name in SHOWN:
            if getattr(deal, name) != card[name]:
                yield f"{deal.id}: {name} is {card[name]!r}, not {getattr(deal, name)!r}"
        yield from _unsaid(finding, truth)
        known = f"{truth.records.get(deal.id, '')} {finding.title} {json.dumps(dict(card))}"
        for claim in claims(f"{finding.detail} {finding.action or ''}"):
            if not supported(claim, known):
                yield f"{deal.id}: {claim!r} is not in its record"
    yield from _wrong_figures(report, truth)


def _unsaid(finding: Finding, truth: Truth) -> Iterator[str]:
    for kind in (finding.kind, *finding.also):
        for fact in truth.of_kind.get(kind, {}).get(_id(finding), ()):
            if fact.lower() not in finding.title.lower():
                yield f"{_id(finding)}: {kind} does not say {fact!r}"


def _wrong_figures(report: Report, truth: Truth) -> Iterator[str]:
    values = {metric.label: metric.value for metric in report.metrics}
    for label, count in truth.counts.items():
        if values.get(label) != f"{count:,}":
            yield f"{label} is {count:,}, not {values.get(label)}"
    known = " ".join([*values.values(), *_counted(report.findings)])
    known += json.dumps([finding.model_dump(mode="json") for finding in report.findings])
    for claim in claims(report.summary):
        if not supported(claim, known):
            yield f"summary: {claim!r} is not in the report"


def _counted(findings: Sequence[Finding]) -> Iterator[str]:
    """What a summary may count: findings by kind, owner, stage and severity."""
    yield str(len(findings))
    for group in (
        Counter(kind for finding in findings for kind in (finding.kind, *finding.also)),
        Counter(finding.owner for finding in findings),
        Counter(finding.deal.stage for finding in findings if finding.deal),
        Counter(finding.severity for finding in findings),
    ):
        yield from map(str, group.values())


def _unlinked(report: Report, truth: Truth) -> Iterator[str]:
    for finding in report.findings:
        card = truth.cards.get(_id(finding), {})
        if card.get("url") and not (finding.deal and finding.deal.url):
            yield f"{_id(finding)} has an address, and is not linked"
