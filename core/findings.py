"""From problems that were computed, and what a model judged of them, to a report's findings.

Names, numbers and deals come from the computed problems alone: a judgement of anything else is
dropped, so a model can neither invent a finding nor lose one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from core.model import Frozen
from core.money import change, said, short
from core.report import Changes, DealRef, Finding, Metric, Report, Severity, Task

RANKS: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}
MOST_NAMES = 3
MOST_NOTED = 8

Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Key = tuple[str, str]


def of_card(deal: Any) -> Any:
    """A deal as the crm_ tools answer it tells more than a report shows."""
    if not isinstance(deal, dict) or "deal_id" not in deal:
        return deal
    shown = {key: deal.get(key) for key in ("url", "amount", "currency", "stage", "owner")}
    return {"id": deal["deal_id"], "name": deal.get("name") or deal["deal_id"], **shown}


class Problem(Frozen):
    """One kind of problem of one deal; `why` is a phrase with the numbers in it."""

    kind: Kind
    deal: Annotated[DealRef, BeforeValidator(of_card)]
    why: str
    severity: Severity = "medium"
    action: str | None = None


class Figure(Frozen):
    """A metric before it is written; `unit` is a currency, `%`, `days` or nothing."""

    label: str
    value: float | str
    unit: str | None = None
    before: float | None = None

    def metric(self) -> Metric:
        if isinstance(self.value, str):
            return Metric(label=self.label, value=self.value)
        changed = None if self.before is None else change(self.value, self.before, self.unit)
        return Metric(label=self.label, value=said(self.value, self.unit), change=changed)


class Judgement(Frozen):
    deal_id: str
    severity: Severity | None = None
    comment: str | None = None
    action: str | None = None


def found(problems: Iterable[Problem]) -> tuple[Finding, ...]:
    """One finding for each deal, the worst first; its worst problem names it."""
    of_deal: dict[str, dict[str, Problem]] = {}
    for problem in problems:
        of_deal.setdefault(problem.deal.id, {}).setdefault(problem.kind, problem)
    return ranked(_finding(list(each.values())) for each in of_deal.values())


def _finding(problems: list[Problem]) -> Finding:
    worst, *others = sorted(problems, key=lambda problem: RANKS[problem.severity])
    actions = (each.action for each in (worst, *others) if each.action)
    return Finding(
        kind=worst.kind,
        also=tuple(each.kind for each in others),
        severity=worst.severity,
        title=_sentence("; ".join(each.why.strip(" .") for each in (worst, *others))),
        deal=worst.deal,
        action=next(actions, None),
        owner=worst.deal.owner,
    )


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=_rank))


def _rank(finding: Finding) -> tuple[int, int, float]:
    amount = finding.deal.amount if finding.deal and finding.deal.amount else 0.0
    return RANKS[finding.severity], -len(finding.also), -amount


def judged(
    findings: Sequence[Finding], judgements: Iterable[Judgement]
) -> tuple[tuple[Finding, ...], int]:
    """The findings with what was judged of their deals, and how many judgements had no finding."""
    last = {each.deal_id: each for each in judgements}
    known = {finding.deal.id for finding in findings if finding.deal}
    with_judgement = (
        _with(finding, last[finding.deal.id])
        if finding.deal and finding.deal.id in last
        else finding
        for finding in findings
    )
    return ranked(with_judgement), len(last.keys() - known)


def _with(finding: Finding, judgement: Judgement) -> Finding:
    said = (finding.detail, (judgement.comment or "").strip())
    return finding.model_copy(
        update={
            "severity": judgement.severity or finding.severity,
            "detail": " ".join(part for part in said if part),
            "action": (judgement.action or "").strip(" .") or finding.action,
        }
    )


def compared(
    findings: Sequence[Finding], before: Report, since: str | None, unlisted: int
) -> tuple[tuple[Finding, ...], Changes]:
    """Against the report before, problem by problem; what is not listed may not be solved."""
    was, now = _keys(before.findings), _keys(findings)
    gone = [key for key in was if key not in now]
    marked = tuple(
        finding.model_copy(update={"new": any(key not in was for key in _keys((finding,)))})
        for finding in findings
    )
    changes = Changes(
        since=since,
        new=sum(key not in was for key in now),
        still=sum(key in was for key in now),
        resolved=None if unlisted else len(gone),
        notes=() if unlisted else _resolved(gone, was),
    )
    return marked, changes


def _keys(findings: Iterable[Finding]) -> dict[Key, str]:
    return {
        (kind, finding.deal.id): finding.deal.name
        for finding in findings
        if finding.deal
        for kind in (finding.kind, *finding.also)
    }


def _resolved(gone: Sequence[Key], names: Mapping[Key, str]) -> tuple[str, ...]:
    kinds: dict[str, list[str]] = {}
    for kind, deal in gone:
        kinds.setdefault(deal, []).append(kind.replace("_", " "))
    named = {deal: names[key] for key in gone for deal in (key[1],)}
    told = [f"No longer: {named[deal]} ({', '.join(each)})" for deal, each in kinds.items()]
    more = len(told) - MOST_NOTED
    return (*told[:MOST_NOTED], f"and {more} more deals") if more > 0 else tuple(told)


def tasks(findings: Sequence[Finding]) -> tuple[Task, ...]:
    """One for each owner who has something to do, in the order of their worst deals."""
    of_owner: dict[str | None, list[Finding]] = {}
    for finding in findings:
        if finding.action:
            of_owner.setdefault(finding.owner, []).append(finding)
    return tuple(Task(what=_work(mine), who=owner) for owner, mine in of_owner.items())


def _work(findings: Sequence[Finding]) -> str:
    deals = [finding.deal for finding in findings if finding.deal]
    names = [deal.name for deal in deals[:MOST_NAMES]]
    more = len(deals) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more else "")
    counted = "1 deal" if len(deals) == 1 else f"{len(deals)} deals"
    currencies = {deal.currency for deal in deals if deal.amount}
    worth = sum(deal.amount or 0 for deal in deals)
    sized = f", {short(worth, currencies.pop())}" if worth and len(currencies) == 1 else ""
    return f"{counted}{sized}: {listed}"


def _sentence(why: str) -> str:
    return why[:1].upper() + why[1:]
