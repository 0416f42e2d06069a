"""What a receiver is sent, and for how long it is tried."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from activities.callbacks import later
from core.callback import MAX_BODY, body_of, headers_of, secret_as_text
from core.run import Failure, Run
from core.tool import Actor
from workflows.policies import DELIVERY

AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
LINKS = {"run": "https://perdure.example/api/runs/talk-1"}
SECRET, OLD = bytes(range(32)), bytes(32)


def ended(**more: Any) -> Run:
    return Run(
        **{
            "run_id": "talk-1",
            "workspace_id": "w",
            "skill": "talk",
            "version": "v",
            "status": "succeeded",
            "trigger": "webhook",
            "actor": Actor(kind="key", id="k"),
            "lineage": "talk-1",
            "created_at": AT,
            "started_at": AT,
            "completed_at": AT + timedelta(seconds=2),
            **more,
        }
    )


def test_every_secret_that_is_valid_signs() -> None:
    body = body_of(ended(output="größer ✓"), LINKS)
    headers = headers_of("talk-1", datetime.now(UTC), body, [SECRET, OLD])
    for secret in (SECRET, OLD):
        assert Webhook(secret_as_text(secret)).verify(body, headers)["data"]["output"] == "größer ✓"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_as_text(b"x" * 32)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_as_text(SECRET)).verify(body + b" ", headers)


def test_what_was_given_to_the_run_is_not_told() -> None:
    assert b"confidential" not in body_of(ended(inputs={"word": "confidential"}), LINKS)


def test_however_large_the_body_fits() -> None:
    large = "é" * MAX_BODY
    error = Failure(code="http_failed", message="no", data={"body": large})
    body = body_of(ended(status="failed", output={"part": large}, error=error), LINKS)
    told = json.loads(body)["data"]
    assert len(body) < MAX_BODY
    assert told["output_omitted"]
    assert told["error"]["message"] == "no"


def test_an_open_run_has_nothing_to_tell() -> None:
    with pytest.raises(ValueError, match="has not ended"):
        body_of(ended(status="running", completed_at=None), LINKS)


def test_tries_begin_after_a_second_and_go_on_hourly_for_three_days() -> None:
    policy = DELIVERY["retry_policy"]
    longest = policy.maximum_interval or timedelta.max
    waits = [min(policy.initial_interval * 2 ** min(n, 30), longest) for n in range(100)]
    assert [wait.total_seconds() for wait in waits[:3]] == [1, 2, 4]
    within = [at for at in accumulate(waits) if at <= DELIVERY["schedule_to_close_timeout"]]
    assert 75 < len(within) < 90
    assert within[11] < timedelta(hours=1.2) < within[12]
    assert policy.maximum_attempts == 0
    assert not policy.non_retryable_error_types


@pytest.mark.parametrize(
    ("asked", "attempt", "waits"),
    [(None, 1, None), (30, 1, 30), (30, 6, None), (60, 6, 60), (3600, 70, None), (7200, 70, 7200)],
)
def test_a_receiver_may_ask_for_more_time_and_never_for_less(
    asked: int | None, attempt: int, waits: int | None
) -> None:
    found = later(None if asked is None else timedelta(seconds=asked), attempt)
    assert found == (None if waits is None else timedelta(seconds=waits))
