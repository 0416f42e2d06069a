from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from core.digest import canonical, digest_of_text, size_of_text
from core.effects import NOTIFY, NotifyRequest, Settled
from core.execution import Notify
from workflows import policies
from workflows.failures import refuse_if_large, step_failure
from workflows.state import RunState


async def notify(run: RunState, call: Notify) -> Any:
    """What became of it; a retry is given that, and tells nobody twice."""
    asked = canonical(["notify", call.channel, call.message])
    size = size_of_text(asked)
    refuse_if_large(call.path, "the message", size)
    digest = digest_of_text(asked)
    known = run.given.step(call.path, digest)
    if known is not None:
        run.settle(Settled(path=call.path, kind="notify", status="succeeded", given=True))
        return known.output
    async with run.in_flight:
        await run.may_send(size)
        try:
            return await start(run, call, digest)
        except ActivityError as error:
            raise step_failure(error, call.path, run) from None


def start(run: RunState, call: Notify, digest: str) -> workflow.ActivityHandle[Any]:
    retry = policies.notifying(call.retry)
    request = NotifyRequest(
        channel=call.channel,
        message=call.message,
        workspace=run.origin.workspace,
        digest=digest,
        context=run.context(call.path),
        timeout=call.timeout,
        attempts=retry.attempts,
        settled=run.take_settled(),
        began=run.take_begun(),
    )
    return workflow.start_activity(
        NOTIFY,
        request,
        activity_id=call.path,
        summary=f"{call.path}: {call.channel}",
        start_to_close_timeout=(call.timeout or policies.LONGEST_STEP) + policies.GRACE,
        heartbeat_timeout=policies.HEARTBEAT,
        retry_policy=policies.tries(retry),
    )
