from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.run import Failure
from store.attempts import AttemptNote, Attempts
from store.pool import Pool
from store.sealing import CannotOpen, Keyring

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAILURE = Failure(code="http_failed", message="marker-message", data={"status": 503})


@pytest.fixture
def attempts(pool: Pool) -> Attempts:
    return Attempts(pool, Keyring({"test": bytes(32)}))


async def test_attempts_are_told_in_order_of_time(attempts: Attempts) -> None:
    told = [
        AttemptNote(
            path=path, attempt=attempt, failure=FAILURE, will_retry=attempt < 2, at=NOON + after
        )
        for path, attempt, after in (
            ("fetch", 1, timedelta(0)),
            ("deals[3].fetch", 1, timedelta(milliseconds=1)),
            ("fetch", 2, timedelta(seconds=1)),
        )
    ]
    for note in reversed(told):
        await attempts.note(
            "r1", "acme", note.path, note.attempt, note.failure, note.will_retry, note.at
        )
    await attempts.note("r2", "acme", "fetch", 1, FAILURE, False, NOON)
    assert await attempts.list_for("r1") == told
    assert await attempts.list_for("nobody") == []


async def test_the_first_note_of_an_attempt_stays(attempts: Attempts) -> None:
    await attempts.note("r1", "acme", "fetch", 1, FAILURE, True, NOON)
    later = Failure(code="step_timed_out", message="later")
    await attempts.note("r1", "acme", "fetch", 1, later, False, NOON + timedelta(hours=1))
    [note] = await attempts.list_for("r1")
    assert (note.failure, note.will_retry, note.at) == (FAILURE, True, NOON)


async def test_what_failed_is_not_readable_in_the_table(attempts: Attempts, pool: Pool) -> None:
    await attempts.note("r1", "acme", "fetch", 1, FAILURE, True, NOON)
    row = await pool.fetchrow("SELECT * FROM attempts")
    assert row is not None
    assert b"marker" not in row["failure"]
    assert "marker" not in str(dict(row))


async def test_a_failure_moved_to_another_workspace_does_not_open(
    attempts: Attempts, pool: Pool
) -> None:
    await attempts.note("r1", "acme", "fetch", 1, FAILURE, True, NOON)
    await pool.execute("UPDATE attempts SET workspace_id = 'globex'")
    with pytest.raises(CannotOpen):
        await attempts.list_for("r1")
