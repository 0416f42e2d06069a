"""The demo company holds together, whatever the day."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.connector import FilesConfig
from core.crm import KINDS, Kind
from core.run import Workspace
from dev.demo.company import company
from dev.demo.company.problems import PROBLEMS
from dev.demo.company.talk import Kind as SignalKind
from integrations.files import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.crm import Change, Deal, Stage
    from dev.demo.company import Company

LEAP_DAY, NEW_YEAR = date(2028, 2, 29), date(2027, 1, 1)
IN_AUGUST, QUARTER_END = date(2026, 8, 31), date(2026, 12, 31)

on = cache(company)


def on_days(test: Callable[[date], None]) -> Callable[[], None]:
    test = settings(max_examples=1)(given(st.dates(date(2020, 1, 1), date(2040, 12, 31)))(test))
    return reduce(
        lambda found, day: example(day)(found),
        (LEAP_DAY, NEW_YEAR, IN_AUGUST, QUARTER_END),
        test,
    )


def test_a_day_gives_the_same_company_each_time() -> None:
    again = company(LEAP_DAY)
    assert all(again.lines(kind) == on(LEAP_DAY).lines(kind) for kind in KINDS)


def test_another_day_gives_the_same_accounts_other_deals() -> None:
    one, other = on(NEW_YEAR), on(LEAP_DAY)
    assert [account.name for account in one.accounts] == [
        account.name for account in other.accounts
    ]
    assert [deal.name for deal in one.deals] != [deal.name for deal in other.deals]


@on_days
def test_what_is_told_of_is_there(day: date) -> None:
    told = on(day)
    owners, accounts, contacts, deals = (
        {record.id for record in told.of(kind)}
        for kind in ("owners", "accounts", "contacts", "deals")
    )
    stages = {(line.id, stage.id) for line in told.pipelines for stage in line.stages}
    assert {(deal.pipeline, deal.stage) for deal in told.deals} <= stages
    assert {deal.owner for deal in told.deals} <= owners
    assert {quota.owner for quota in told.quotas} == owners
    assert {contact.account for contact in told.contacts} == accounts
    for talk in (*told.activities, *told.conversations):
        assert {talk.owner} <= owners
        assert {*talk.deals} <= deals
    for kind in KINDS:
        ids = [record.id for record in told.of(kind)]
        assert len(ids) == len(set(ids))
    assert {person for touch in told.activities for person in touch.contacts} <= contacts


@on_days
def test_a_deals_people_work_at_its_account(day: date) -> None:
    told = on(day)
    works_at = {contact.id: contact.account for contact in told.contacts}
    people = {deal.id: {link.contact for link in deal.contacts} for deal in told.deals}
    account = {deal.id: deal.account for deal in told.deals}
    for deal in told.deals:
        assert {works_at[person] for person in people[deal.id]} == {deal.account}
    for touch in told.activities:
        assert {account[id_] for id_ in touch.deals} == {touch.account}
        assert {*touch.contacts} <= people[touch.deals[0]]


@on_days
def test_whoever_talks_for_the_company_has_the_deal_at_that_time(day: date) -> None:
    told = on(day)
    had = {deal.id: _paths(deal)["owner"] for deal in told.deals}
    for talk in (*told.activities, *told.conversations):
        (deal,) = talk.deals
        whose = [change.value for change in had[deal] if change.at.date() <= talk.at.date()]
        assert talk.owner == whose[-1]
    left = {owner.id for owner in told.owners if not owner.active}
    assert not left & {deal.owner for deal in told.deals if deal.closed_at is None}


@on_days
def test_nobody_buys_for_the_first_time_twice(day: date) -> None:
    told = on(day)
    new = [deal for deal in told.deals if deal.pipeline == "new"]
    won = {deal.account: deal.closed_at for deal in new if deal.stage == "new-won"}
    assert len(won) == sum(deal.stage == "new-won" for deal in new)
    for deal in told.deals:
        if deal.pipeline != "new" and deal.account in won:
            assert deal.created_at.date() >= won[deal.account].date()


@on_days
def test_nothing_happens_on_that_day_or_later_or_outside_a_deals_life(day: date) -> None:
    told = on(day)
    begins = datetime.combine(day, time(), UTC)
    deals = {deal.id: deal for deal in told.deals}
    known_since = {account.id: account.created_at for account in told.accounts}
    for talk in (*told.activities, *told.conversations):
        deal = deals[talk.deals[0]]
        assert deal.created_at < talk.at < (deal.closed_at or begins)
    for deal in told.deals:
        ends = deal.closed_at or deal.created_at
        assert known_since[deal.account] < deal.created_at <= ends < begins
        assert all(change.at < begins for change in deal.changes)
        assert deal.close_date is None or deal.close_date >= deal.created_at.date()


@on_days
def test_a_history_goes_forward_and_ends_in_the_present(day: date) -> None:
    told = on(day)
    stages = {stage.id: stage for line in told.pipelines for stage in line.stages}
    for deal in told.deals:
        paths = _paths(deal)
        now = {
            "stage": deal.stage,
            "amount": deal.amount and f"{deal.amount:.2f}",
            "close_date": deal.close_date and deal.close_date.isoformat(),
            "owner": deal.owner,
            "forecast_category": deal.forecast_category,
        }
        assert {field: path[-1].value for field, path in paths.items()} == {
            field: value for field, value in now.items() if value is not None
        }
        for path in paths.values():
            assert path[0].at == deal.created_at
            assert all(one.at < other.at for one, other in pairwise(path))
        visited = [stages[change.value or ""].position for change in paths["stage"]]
        assert visited == sorted(visited)
        _assert_closed_like(stages[deal.stage], deal)


def _paths(deal: Deal) -> dict[str, list[Change]]:
    paths: defaultdict[str, list[Change]] = defaultdict(list)
    for change in deal.changes:
        paths[change.field].append(change)
    return paths


def _assert_closed_like(stage: Stage, deal: Deal) -> None:
    if stage.outcome == "open":
        assert deal.closed_at is None
    else:
        assert deal.closed_at
        assert deal.closed_at.date() == deal.close_date
    assert (deal.lost_reason is not None) == (stage.outcome == "lost")


@on_days
def test_each_problem_is_planted_in_some_open_deals(day: date) -> None:
    told = on(day)
    still_open = {deal.id for deal in told.deals if deal.closed_at is None}
    assert set(told.planted) == set(PROBLEMS)
    for deals in told.planted.values():
        assert 5 <= len(deals) <= 12
        assert deals <= still_open
    wrong = Counter(deal for deals in told.planted.values() for deal in deals)
    assert 2 in wrong.values()
    assert len(still_open) - len(wrong) >= 40


@on_days
def test_what_tells_of_a_risk_was_said_these_days_and_is_quoted_exactly(day: date) -> None:
    told = on(day)
    said = {talk.id: talk for talk in told.conversations}
    signals = told.planted_signals
    assert {signal.deal for signal in signals} == told.planted["risk_signal"]
    assert {signal.kind for signal in signals} == set(get_args(SignalKind))
    for signal in signals:
        talk = said[signal.conversation]
        assert talk.deals == (signal.deal,)
        assert talk.at
        assert day - talk.at.date() <= timedelta(days=12)
        assert talk.transcript.count(signal.quote) == 1


@on_days
def test_no_two_conversations_read_the_same(day: date) -> None:
    told = on(day)
    texts = [talk.transcript for talk in told.conversations]
    assert len(texts) == len(set(texts)) == 250
    assert all(5 <= len(text.splitlines()) <= 40 for text in texts)
    assert not any(sign in text for text in texts for sign in "[]{}|!")


@on_days
def test_it_is_as_large_as_a_company_should_be(day: date) -> None:
    told = on(day)
    counts = {kind: len(told.of(kind)) for kind in KINDS}
    assert counts["pipelines"] == 3
    assert counts["deals"] == 404
    assert 550 <= counts["contacts"] <= 700
    assert 7_500 <= counts["activities"] <= 10_500


@on_days
def test_quarters_end_in_wins_and_august_is_slow(day: date) -> None:
    told = on(day)
    won = Counter(
        deal.closed_at.month
        for deal in told.deals
        if deal.closed_at is not None and deal.lost_reason is None
    )
    at_quarter_end = sum(won[month] for month in (3, 6, 9, 12))
    elsewhere = won.total() - at_quarter_end
    # Of two years: 8 months against 16, and 2.
    assert at_quarter_end / 8 > 1.5 * elsewhere / 16
    assert won[8] / 2 < at_quarter_end / 8 / 2
    assert all(touch.at and touch.at.weekday() < 5 for touch in told.activities)
    assert won.total() == 174


class Uploaded:
    """What a source of files reads from, holding the company's."""

    def __init__(self, told: Company) -> None:
        self._data = {kind: told.lines(kind).encode() for kind in KINDS}

    def file(self, kind: Kind) -> File:
        return File(kind=kind, size=len(self._data[kind]))

    async def list_current(self, workspace: str, source: str) -> dict[Kind, File]:
        return {kind: self.file(kind) for kind in KINDS}

    async def find(self, workspace: str, source: str, kind: Kind, version: int) -> File:
        return self.file(kind)

    async def read(self, workspace: str, version: int, start: int, length: int) -> bytes:
        return self._data[KINDS[version]][start : start + length]


@dataclass(frozen=True)
class File:
    kind: Kind
    size: int
    format: Literal["jsonl"] = "jsonl"
    uploaded_at: datetime = datetime(2026, 11, 20, tzinfo=UTC)

    @property
    def version(self) -> int:
        return KINDS.index(self.kind)


async def test_a_source_of_files_reads_all_of_it_as_it_is() -> None:
    told = on(NEW_YEAR)
    uploaded = Uploaded(told)
    current = await uploaded.list_current("demo", "demo")
    source = FileSource(
        uploaded, Workspace(id="demo", name="demo", timezone="UTC"), "demo", FilesConfig(), current
    )
    for kind in KINDS:
        read, cursor = list[Any](), None
        while True:
            page = await source.page(kind, None, cursor)
            assert page.faults == ()
            read += page.records
            if (cursor := page.next) is None:
                break
        assert read == list(told.of(kind))
