from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy

from core import callback
from core.flow import Retry

TASK_TIMEOUT = timedelta(seconds=5)
# What a killed worker had in hand is missed after this, and started again FIRST_BACKOFF later:
# together within 5 s.
HEARTBEAT = timedelta(seconds=4)
# The activity ends itself at its tool's or step's timeout; this is for one that cannot.
LONGEST_STEP = timedelta(hours=24)
GRACE = timedelta(seconds=5)
DEFAULT_ATTEMPTS = 5
FIRST_BACKOFF = timedelta(seconds=1)
MAX_BACKOFF = timedelta(seconds=60)
NEVER_RETRIED = ["PayloadsTooLarge"]


# A channel may be down for minutes, and all the work it would tell of is done by then.
NOTIFY_ATTEMPTS = 10


class LocalOptions(TypedDict):
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class Options(TypedDict):
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy


# One quick try: a local activity that waits for Postgres would hold up the whole run.
RECORD_AT_ONCE = LocalOptions(
    start_to_close_timeout=timedelta(seconds=2),
    schedule_to_close_timeout=timedelta(seconds=4),
    retry_policy=RetryPolicy(maximum_attempts=1),
)


def bookkeeping(patience: timedelta) -> Options:
    """For the kernel's own activities: quick tries for as long as `patience`."""
    return Options(
        start_to_close_timeout=min(patience, timedelta(seconds=30)),
        schedule_to_close_timeout=patience,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=2)
        ),
    )


RECORD_LATER = bookkeeping(timedelta(minutes=2))
RECORD_END = bookkeeping(timedelta(seconds=30))
LOOK_UP = bookkeeping(timedelta(hours=1))
SETTLE = bookkeeping(timedelta(days=1))

DELIVERY = Options(
    start_to_close_timeout=callback.ANSWER_WITHIN + timedelta(seconds=10),
    schedule_to_close_timeout=callback.TRIED_FOR,
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=callback.FIRST_BACKOFF,
        backoff_coefficient=2,
        maximum_interval=callback.LONGEST_BACKOFF,
    ),
)


# A source may ask for a day of patience; what it told until then is kept.
READING = Options(
    start_to_close_timeout=timedelta(minutes=15),
    schedule_to_close_timeout=timedelta(hours=36),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=FIRST_BACKOFF, backoff_coefficient=2, maximum_interval=MAX_BACKOFF
    ),
)


def tries(retry: Retry | None) -> RetryPolicy:
    return RetryPolicy(
        maximum_attempts=(retry and retry.attempts) or DEFAULT_ATTEMPTS,
        initial_interval=(retry and retry.backoff) or FIRST_BACKOFF,
        backoff_coefficient=2,
        maximum_interval=max_backoff(retry),
        non_retryable_error_types=NEVER_RETRIED,
    )


def notifying(retry: Retry | None) -> Retry:
    attempts = (retry and retry.attempts) or NOTIFY_ATTEMPTS
    return (retry or Retry(attempts=attempts)).model_copy(update={"attempts": attempts})


def max_backoff(retry: Retry | None) -> timedelta:
    """The SDK refuses one below the first, and with it every attempt to go on."""
    first = (retry and retry.backoff) or FIRST_BACKOFF
    return max(first, (retry and retry.max_backoff) or MAX_BACKOFF)
