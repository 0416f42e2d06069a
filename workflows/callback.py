from temporalio import workflow
from temporalio.exceptions import ActivityError

from core.callback import GONE, CallbackAnswer, CallbackOutcome, CallbackRequest
from core.effects import CALLBACK, CALLBACK_POST, CALLBACK_SETTLE
from workflows import policies


@workflow.defn(name=CALLBACK, sandboxed=False)
class CallbackRun:
    """Tells somebody outside how a run ended, for as long as it takes. It is no run itself."""

    @workflow.run
    async def run(self, request: CallbackRequest) -> CallbackOutcome | None:
        outcome = await self._outcome(request)
        if outcome is not None:
            await workflow.execute_activity(
                CALLBACK_SETTLE,
                outcome,
                activity_id="settle",
                summary=f"note that the callback is {outcome.status}",
                **policies.SETTLE,
            )
        return outcome

    async def _outcome(self, request: CallbackRequest) -> CallbackOutcome | None:
        try:
            answer: CallbackAnswer = await workflow.execute_activity(
                CALLBACK_POST,
                request,
                result_type=CallbackAnswer,
                activity_id="post",
                summary=f"tell how {request.run} ended",
                **policies.DELIVERY,
            )
        except ActivityError:
            # Each try has noted what was wrong.
            return CallbackOutcome(request=request, status="gave_up")
        if answer.status is None:
            return None
        if answer.status == GONE:
            error = f"it answered {GONE}: it wants no more of them"
            return CallbackOutcome(request=request, status="gave_up", error=error)
        return CallbackOutcome(request=request, status="delivered")
