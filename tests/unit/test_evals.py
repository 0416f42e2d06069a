from __future__ import annotations

from typing import Any

import pytest

from core.findings import Problem, found
from core.report import Metric, Report
from evals.claims import claims, supported
from evals.score import Score, Truth, score

DEALS = [f"demo:{number}" for number in range(10)]


def card(deal: str) -> dict[str, Any]:
    facts = {"amount": 120_400.0, "currency": "EUR", "stage": "Proposal", "owner": "Ada"}
    return {"deal_id": deal, "name": f"Deal {deal}", "url": f"https://crm.example/{deal}", **facts}


TRUTH = Truth(
    cards={deal: card(deal) for deal in [*DEALS, "demo:sound"]},
    of_kind={"stale": dict.fromkeys(DEALS, ("30 days",))},
    counts={"Stale": 10},
    records=dict.fromkeys(DEALS, '{"activities": [{"at": "2026-10-19T08:00:00Z"}]}'),
    planted={"stale": frozenset(DEALS)},
)


def reported(*deals: str, **more: Any) -> Report:
    findings = found(
        Problem(kind="stale", deal=card(deal), why="no activity for 30 days")  # type: ignore[arg-type]
        for deal in deals
    )
    metrics = (Metric(label="Stale", value="10"),)
    return Report(title="Hygiene", findings=findings, metrics=metrics, **more)


def changed(report: Report, **more: Any) -> Report:
    first, *others = report.findings
    return report.model_copy(update={"findings": (first.model_copy(update=more), *others)})


def renamed(**more: Any) -> Report:
    report = reported(*DEALS)
    deal = report.findings[0].deal
    assert deal is not None
    return changed(report, deal=deal.model_copy(update=more))


def of(report: Report) -> Score:
    return score(report, TRUTH)


def test_a_true_report_passes() -> None:
    summary = "10 deals are stale, EUR 120k each; the first was last heard of on no known day."
    judged = changed(
        reported(*DEALS, summary=summary),
        detail="The last was a call on 2026-10-19.",
        action="Call within 30 days.",
    )
    assert of(judged) == Score(
        kinds=of(judged).kinds, planted=of(judged).planted, invented=(), wrong=(), unlinked=()
    )
    assert of(judged).passed


def test_nine_of_ten_are_enough_and_eight_are_not() -> None:
    assert of(reported(*DEALS[:9])).passed
    few = of(reported(*DEALS[:8]))
    assert few.kinds["stale"].missed == ("demo:8", "demo:9")
    assert not few.passed


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (reported(*DEALS, "demo:99"), "stale: there is no deal 'demo:99'"),
        (reported(*DEALS, "demo:sound"), "stale: it is not so of demo:sound"),
        (changed(reported(*DEALS), also=("slipped",)), "slipped: it is not so of demo:0"),
    ],
)
def test_what_is_not_so_is_invented(report: Report, said: str) -> None:
    assert of(report).invented == (said,)
    assert not of(report).passed


def test_a_deal_told_twice_is_named() -> None:
    report = reported(*DEALS)
    twice = report.model_copy(update={"findings": (*report.findings, report.findings[0])})
    assert of(twice).invented == ("demo:0 is there 2 times",)


def test_a_sign_that_nobody_planted_is_a_false_alarm() -> None:
    truth = Truth(TRUTH.cards, TRUTH.of_kind, TRUTH.counts, {}, {"stale": frozenset(DEALS[1:])})
    assert score(reported(*DEALS), truth).invented == ("stale: it was not planted in demo:0",)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (renamed(amount=120_500.0), "demo:0: amount is 120400.0, not 120500.0"),
        (renamed(owner="Eve"), "demo:0: owner is 'Ada', not 'Eve'"),
        (
            changed(reported(*DEALS), title="No activity for 31 days"),
            "demo:0: stale does not say '30 days'",
        ),
        (
            changed(reported(*DEALS), detail="They signed on 2026-10-20."),
            "demo:0: '2026-10-20' is not in its record",
        ),
        (
            changed(reported(*DEALS), action="Save EUR 130k."),
            "demo:0: 'EUR 130k' is not in its record",
        ),
        (
            reported(*DEALS, summary="11 deals are stale."),
            "summary: '11 deals' is not in the report",
        ),
        (
            reported(*DEALS).model_copy(update={"metrics": (Metric(label="Stale", value="9"),)}),
            "Stale is 10, not 9",
        ),
    ],
)
def test_a_wrong_number_name_or_date_is_told(report: Report, said: str) -> None:
    assert of(report).wrong == (said,)
    assert not of(report).passed


def test_a_deal_without_its_address_is_told() -> None:
    assert of(renamed(url=None)).unlinked == ("demo:0 has an address, and is not linked",)


def test_what_is_quoted_is_no_claim_of_the_report() -> None:
    text = "“We pay 20 % less elsewhere”, said on 2026-11-02; EUR 1.2M and 3 deals hang on it."
    assert list(claims(text)) == ["2026-11-02", "EUR 1.2M", "3 deals"]


@pytest.mark.parametrize(
    ("claim", "known", "is_known"),
    [
        ("EUR 120k", '{"amount": 120400.0}', True),
        ("EUR 121k", '{"amount": 120400.0}', False),
        ("USD 1.23M", "1,234,567", True),
        ("12 %", "12.4", True),
        ("13 %", "12.4", False),
        ("4 days", "2026-10-04", False),
    ],
)
def test_a_number_is_known_as_far_as_it_was_rounded(claim: str, known: str, is_known: bool) -> None:
    assert supported(claim, known) is is_known
