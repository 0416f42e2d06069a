"""What HubSpot and the way to it may do wrong, and what it is called then."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from core.errors import (
    AddressRefused,
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceRefused,
    SourceRejected,
    SourceUnavailable,
    SourceUnreadable,
)
from integrations import hubspot_api
from outbound import Outbound
from tests.hubspot.reading import Reader, open_reader
from tests.hubspot.server import TOKEN, TROUBLES, at_random, too_many
from tests.receiver import reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.receiver import Received

MONDAY = datetime(2026, 11, 16, 9, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[Reader]:
    async with open_reader() as reader:
        yield reader


def says(status: int, body: Any = None, **headers: str) -> bytes:
    return reply(status, json.dumps(body or {}).encode(), **headers)


def at_owners(answer: bytes) -> Callable[[Received, bytes], bytes | None]:
    return lambda received, _: answer if "/owners" in received.target else None


ONLY_SOME = {
    "results": [],
    "errors": [{"category": "INTERNAL_ERROR", "message": "a shard is away"}],
}
UNLIKELY = {"results": [{"id": "1", "properties": {}}, "and so on"]}
AFTER_A_DATE = {"retry_after": "Wed, 21 Oct 2099 07:28:00 GMT"}


@pytest.mark.parametrize(
    ("answer", "failure", "wait", "words"),
    [
        (says(400, {"message": "Invalid input"}), SourceRejected, None, "with 400: Invalid input"),
        (says(404), SourceRejected, None, "with 404"),
        (says(302, location="http://127.0.0.1/"), SourceRejected, None, "with 302"),
        (
            says(401, {"category": "EXPIRED_AUTHENTICATION"}),
            SourceRefused,
            None,
            "refused: EXPIRED",
        ),
        (says(403, {"message": "no permission"}), SourceForbidden, None, "no permission"),
        (says(429, retry_after="7"), SourceBusy, 7 * SECOND, "too often"),
        (says(429, **AFTER_A_DATE), SourceBusy, timedelta(days=1), "too often"),
        (too_many("TEN_SECONDLY_ROLLING", interval=2.5), SourceBusy, 2.5 * SECOND, "rolling"),
        (too_many("TEN_SECONDLY_ROLLING"), SourceBusy, 10 * SECOND, "rolling"),
        (reply(429, b"Slow down"), SourceBusy, 10 * SECOND, "too often"),
        (says(500), SourceUnavailable, None, "with 500"),
        (reply(502, b"<html>Bad Gateway</html>"), SourceUnavailable, None, "with 502"),
        (says(503, retry_after="30"), SourceUnavailable, 30 * SECOND, "with 503"),
        (reply(504), SourceUnavailable, None, "with 504"),
        (says(408), SourceUnavailable, None, "with 408"),
        (says(423), SourceUnavailable, None, "with 423"),
        (b"", SourceUnavailable, None, "broke off"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", SourceUnavailable, None, "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{", SourceUnavailable, None, "broke off"),
        (reply(200, b"<html>Log in</html>"), SourceUnreadable, None, "no JSON object"),
        (reply(200, b'{"results": [{"id": "1"'), SourceUnreadable, None, "no JSON object"),
        (says(200, [1, 2]), SourceUnreadable, None, "no JSON object"),
        (says(200), SourceUnreadable, None, "without the list"),
        (says(200, {"results": "none"}), SourceUnreadable, None, "without the list"),
        (says(200, UNLIKELY), SourceUnreadable, None, "without the list"),
        (reply(200, b"{}", content_encoding="gzip"), SourceUnavailable, None, "broke off"),
    ],
)
async def test_every_answer_that_is_none_has_a_name(
    reader: Reader,
    answer: bytes,
    failure: type[SourceError],
    wait: timedelta | None,
    words: str,
) -> None:
    reader.server.trouble = at_owners(answer)
    with pytest.raises(failure, match=words) as caught:
        await reader.read("owners")
    assert type(caught.value) is failure
    if wait is None:
        assert caught.value.retry_after is None
    else:
        assert abs(caught.value.retry_after - wait) < SECOND / 10
    assert TOKEN not in f"{caught.value} {caught.value.data}"


async def test_a_wrong_token_is_refused_for_good(reader: Reader) -> None:
    with pytest.raises(SourceRefused, match="invalid or has expired") as caught:
        await reader.hubspot("pat-na1-of-somebody-else").page("owners", None, None)
    assert not caught.value.retryable
    assert "somebody-else" not in f"{caught.value} {caught.value.data}"


async def test_a_token_from_a_file_loses_its_line_break(reader: Reader) -> None:
    await reader.hubspot(f"{TOKEN}\n").page("owners", None, None)


async def test_a_token_that_fits_no_header_is_not_told(reader: Reader) -> None:
    for token in ("two\nlines", "pät", "\n"):
        with pytest.raises(SourceRefused, match="holds what no token does"):
            reader.hubspot(token)


async def test_a_token_that_comes_back_is_hidden(reader: Reader) -> None:
    reader.server.trouble = lambda *_: says(400, {"message": f"Bad header: Bearer {TOKEN}"})
    with pytest.raises(SourceRejected, match=r"Bearer \[the token\]") as caught:
        await reader.read("owners")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        ("owners", "crm.objects.owners.read"),
        ("pipelines", "crm.objects.deals.read"),
        ("accounts", "crm.objects.companies.read"),
        ("contacts", "crm.objects.contacts.read"),
        ("deals", "crm.objects.deals.read"),
        ("activities", "sales-email-read"),
    ],
)
async def test_a_missing_scope_is_named(reader: Reader, kind: Any, scope: str) -> None:
    reader.server.api.withheld = {scope}
    for since in (None, MONDAY):
        with pytest.raises(SourceForbidden, match=f"needs the scope {scope}") as caught:
            await reader.read(kind, since)
        assert caught.value.data["scopes"] == [scope]
        assert not caught.value.retryable


async def test_a_daily_limit_ends_at_midnight_where_the_account_is(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.server.crm.create("companies", MONDAY)
    hubspot = reader.hubspot()
    await hubspot.page("accounts", None, None)
    reader.server.trouble = lambda *_: too_many("DAILY")

    class Evening(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            assert tz is UTC
            return datetime(2026, 11, 20, 2, 0, tzinfo=tz)  # nine in the evening in New York

    monkeypatch.setattr(hubspot_api, "datetime", Evening)
    with pytest.raises(SourceBusy) as caught:
        await hubspot.page("accounts", None, None)
    assert caught.value.retry_after == timedelta(hours=3)
    assert caught.value.data["policy"] == "DAILY"


async def test_the_limits_of_the_real_one_are_obeyed_by_waiting(reader: Reader) -> None:
    reader.server.searches_per_second = 5
    for _ in range(5):
        await reader.hubspot().page("contacts", MONDAY, None)
    with pytest.raises(SourceBusy) as caught:
        await reader.hubspot().page("contacts", MONDAY, None)
    assert caught.value.retry_after == SECOND
    reader.server.per_ten_seconds = 3
    with pytest.raises(SourceBusy) as caught:
        await reader.hubspot().page("owners", None, None)
    assert 8 * SECOND < caught.value.retry_after <= 10 * SECOND


async def test_associations_told_in_part_are_asked_again(reader: Reader) -> None:
    """Written as they are, they would take people away from their deals."""
    crm = reader.server.crm
    crm.link(crm.create("deals", MONDAY), crm.create("contacts", MONDAY))

    def partly(received: Received, answer: bytes) -> bytes | None:
        return says(207, ONLY_SOME) if "/associations/" in received.target else None

    reader.server.trouble = partly
    with pytest.raises(SourceUnavailable, match="only in part: a shard is away"):
        await reader.read("deals")


async def test_silence_ends_after_a_while(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubspot_api, "SECONDS_PER_REQUEST", 0.05)
    reader.server.pause = 1
    with pytest.raises(SourceUnavailable, match="did not answer /account-info/v3/details within"):
        await reader.read("owners")


async def test_an_answer_without_end_is_not_read_to_it(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubspot_api, "MAX_BODY", 1000)
    reader.server.trouble = lambda *_: reply(200, b" " * 100_000)
    with pytest.raises(SourceUnreadable, match="more than"):
        await reader.read("owners")


async def test_who_does_not_listen_is_away_for_now(reader: Reader) -> None:
    reader.server.port = 1
    with pytest.raises(SourceUnavailable, match="could not be reached"):
        await reader.read("owners")


async def test_an_address_that_is_not_public_is_refused(reader: Reader) -> None:
    async with Outbound() as guarded:
        with pytest.raises(AddressRefused):
            await Reader(reader.server, guarded).read("owners")
    assert reader.server.requests == []


def some_deals(reader: Reader) -> None:
    crm = reader.server.crm
    company, contact = crm.create("companies", MONDAY), crm.create("contacts", MONDAY)
    crm.stand_still(MONDAY)
    for number in range(60):
        deal = crm.create("deals", MONDAY, dealname=f"Deal {number}")
        crm.link(deal, company)
        crm.link(deal, contact)
    crm.archive(crm.create("deals", MONDAY))


@pytest.mark.parametrize("since", [None, MONDAY], ids=["whole", "changes"])
async def test_trouble_at_any_request_changes_nothing_of_what_is_read(
    reader: Reader, since: datetime | None
) -> None:
    some_deals(reader)
    undisturbed = await reader.read("deals", since)
    requests = len(reader.server.requests)
    assert requests > 5
    kinds = cycle(TROUBLES.values())
    for nth in (*range(requests), *range(requests)):
        reader.server.trouble = once(nth, next(kinds))
        disturbed = await reader.read("deals", since, attempts=2)
        assert disturbed.records == undisturbed.records
        assert len(disturbed.failures) == 1


async def test_trouble_all_the_time_only_takes_longer(reader: Reader) -> None:
    some_deals(reader)
    undisturbed = await reader.read("deals", MONDAY)
    reader.server.trouble = at_random(reader.server, Random(11), 0.2)
    failures = 0
    for _ in range(8):
        disturbed = await reader.read("deals", MONDAY, attempts=1000)
        assert disturbed.records == undisturbed.records
        failures += len(disturbed.failures)
    assert failures == sum(reader.server.troubles.values()) > 3


def once(nth: int, trouble: Callable[[bytes], bytes]) -> Callable[[Received, bytes], bytes | None]:
    left = nth

    def troubles(_: Received, answer: bytes) -> bytes | None:
        nonlocal left
        left -= 1
        return trouble(answer) if left == -1 else None

    return troubles
