from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.findings import Figure, Judgement, Problem, compared, found, judged, tasks
from core.money import change, said, short
from core.report import Report

KINDS = ("stale", "slipped", "pushed")
SEVERITIES = ("high", "medium", "low")


def card(number: int, amount: float | None = 1000.0, owner: str | None = "Ada") -> dict[str, Any]:
    """As a crm_ tool answers it, with more than a report shows."""
    return {
        "deal_id": f"demo:{number}",
        "name": f"Deal {number}",
        "url": f"https://crm.example/{number}",
        "amount": amount,
        "currency": "EUR",
        "owner": owner,
        "owner_id": "demo:o1",
        "days_in_stage": 3,
    }


def problem(number: int, kind: str = "stale", severity: str = "medium", **more: Any) -> Problem:
    given = {"kind": kind, "deal": card(number), "why": f"{kind} why", "severity": severity}
    return Problem.model_validate(given | more)


problems = st.lists(
    st.builds(
        problem,
        st.integers(0, 9),
        st.sampled_from(KINDS),
        st.sampled_from(SEVERITIES),
    ),
    max_size=30,
)
judgements = st.lists(
    st.builds(
        Judgement,
        deal_id=st.integers(0, 15).map(lambda number: f"demo:{number}"),
        severity=st.none() | st.sampled_from(SEVERITIES),
        comment=st.none() | st.text(max_size=20),
        action=st.none() | st.text(max_size=20),
    ),
    max_size=20,
)


@given(problems, judgements)
def test_a_model_can_neither_invent_a_finding_nor_lose_one(
    given: list[Problem], said_of: list[Judgement]
) -> None:
    computed = found(given)
    finished, strange = judged(computed, said_of)

    by_id = {finding.deal.id: finding for finding in computed if finding.deal}
    assert {f.deal.id: (f.deal, f.kind, f.also, f.title, f.owner) for f in finished if f.deal} == {
        key: (f.deal, f.kind, f.also, f.title, f.owner) for key, f in by_id.items()
    }
    assert strange == len({each.deal_id for each in said_of} - by_id.keys())


@given(problems)
def test_every_problem_is_in_the_finding_of_its_deal_and_nothing_else_is(
    given: list[Problem],
) -> None:
    told = {(kind, f.deal.id) for f in found(given) if f.deal for kind in (f.kind, *f.also)}
    assert told == {(each.kind, each.deal.id) for each in given}


@given(problems, problems)
def test_what_changed_adds_up(before: list[Problem], now: list[Problem]) -> None:
    was = Report(title="Before", findings=found(before))
    findings, changes = compared(found(now), was, None, 0)
    old = {(each.kind, each.deal.id) for each in before}
    new = {(each.kind, each.deal.id) for each in now}
    counted = (changes.new, changes.still, changes.resolved)
    assert counted == (len(new - old), len(new & old), len(old - new))
    deals = {finding.deal.id for finding in findings if finding.new and finding.deal}
    assert deals == {deal for _, deal in new - old}


def test_the_worst_problem_names_the_deal_and_the_others_follow() -> None:
    (finding,) = found(
        [
            problem(1, "stale", "medium", why="no activity for 32 days.", action="Call them"),
            problem(1, "slipped", "high", why="close date passed 12 days ago"),
        ]
    )
    assert (finding.kind, finding.also, finding.severity) == ("slipped", ("stale",), "high")
    assert finding.title == "Close date passed 12 days ago; no activity for 32 days"
    assert finding.action == "Call them"
    assert finding.deal is not None
    assert finding.deal.url == "https://crm.example/1"


def test_the_worst_deals_come_first_and_of_equal_ones_the_largest() -> None:
    small, large, bad = (
        problem(1, deal=card(1, 10.0)),
        problem(2, deal=card(2, 20.0)),
        problem(3, severity="high", deal=card(3, None)),
    )
    assert [f.deal.id for f in found([small, large, bad]) if f.deal] == [
        "demo:3",
        "demo:2",
        "demo:1",
    ]


def test_what_is_not_listed_does_not_count_as_resolved() -> None:
    was = Report(title="Before", findings=found([problem(1), problem(2)]))
    _, changes = compared(found([problem(1)]), was, "2026-11-13", 7)
    assert (changes.resolved, changes.notes, changes.since) == (None, (), "2026-11-13")
    _, changes = compared(found([problem(1)]), was, "2026-11-13", 0)
    assert (changes.resolved, changes.notes) == (1, ("No longer: Deal 2 (stale)",))


def test_each_owner_gets_one_task_with_the_deals_that_need_something() -> None:
    done = tasks(
        found(
            [problem(n, deal=card(n, 40_000.0), action="Call") for n in range(5)]
            + [problem(7, deal=card(7, owner=None), action="Give it to somebody")]
            + [problem(8, deal=card(8, owner="Grace"))]
        )
    )
    assert [(task.who, task.what) for task in done] == [
        ("Ada", "5 deals, EUR 200k: Deal 0, Deal 1, Deal 2 and 2 more"),
        (None, "1 deal, EUR 1k: Deal 7"),
    ]


def test_a_problem_of_no_deal_is_refused() -> None:
    with pytest.raises(ValidationError):
        problem(1, deal={"name": "Nameless"})


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "EUR 0"),
        (950, "EUR 950"),
        (999.96, "EUR 1k"),
        (8_500, "EUR 8.5k"),
        (128_400, "EUR 128k"),
        (999_800, "EUR 1M"),
        (1_234_567, "EUR 1.23M"),
        (-70_000, "−EUR 70k"),
        (2.5e9, "EUR 2.5B"),
    ],
)
def test_amounts_are_short(amount: float, text: str) -> None:
    assert short(amount, "EUR") == text


def test_figures_say_their_unit_and_what_changed() -> None:
    assert said(12, "days") == "12 days"
    assert said(33.333, "%") == "33.3 %"
    assert said(1234, None) == "1,234"
    assert change(7, 10, None) == "−3"
    assert change(150_000, 100_000, "USD") == "+USD 50k"
    assert change(5, 5, None) == "unchanged"
    metric = Figure(label="Won", value=150_000, unit="USD", before=100_000).metric()
    assert (metric.value, metric.change) == ("USD 150k", "+USD 50k")
    assert Figure(label="Coverage", value="no quota").metric().change is None
