from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from core.digest import canonical, digest_of_text, size_of_text
from core.effects import MODEL, ModelReply, ModelRequest, Settled
from core.execution import Ask, StepFailed
from core.llm import ModelAnswer
from core.run import Failure, Waiting
from workflows import policies
from workflows.failures import refuse_if_large, step_failure
from workflows.state import RunState

# The reset is known to the second; whoever tops up or raises the limit wakes the run before.
LONGEST_SLEEP = timedelta(hours=1)
SHORTEST_LOOK = timedelta(seconds=2)
LONGEST_LOOK = timedelta(minutes=1)


async def ask(run: RunState, call: Ask) -> ModelAnswer:
    """One answer of a model; without budget the run waits for it instead of failing."""
    turns = [turn.model_dump(mode="json") for turn in call.turns]
    # Runs from before it was told have no digest of them.
    told = call.instructions and (run.origin.instructions_digest or True)
    shape = [told, call.tools, call.output_schema, call.model, call.max_tokens]
    asked = canonical(["model", call.capability, turns, shape])
    size = size_of_text(asked)
    refuse_if_large(call.path, "what the model is told", size)
    digest = digest_of_text(asked)
    known = run.given.step(call.path, digest)
    if known is not None:
        run.settle(Settled(path=call.path, kind=call.capability, status="succeeded", given=True))
        return ModelReply.model_validate(known.output).answer
    number = 0
    while True:
        woken = run.woken
        try:
            async with run.in_flight:
                await run.may_send(size)
                return (await start(run, call, digest, number)).answer
        except ActivityError as error:
            failed = step_failure(error, call.path, run)
            if not isinstance(failed, StepFailed):
                raise failed from None
            match failed.failure.code:
                case "budget_exceeded":
                    await budget(run, call.path, failed.failure, woken)
                case "budget_crowded":
                    await crowd(run, call.path, number, woken)
                case _:
                    raise failed from None
        number += 1


def start(
    run: RunState, call: Ask, digest: str, number: int
) -> workflow.ActivityHandle[ModelReply]:
    origin = run.origin
    request = ModelRequest(
        capability=call.capability,
        turns=call.turns,
        instructions=call.instructions,
        tools=call.tools,
        output_schema=call.output_schema,
        model=call.model,
        max_tokens=call.max_tokens,
        digest=digest,
        context=run.context(call.path),
        skill=origin.skill,
        version=origin.version,
        allowed_tools=origin.allowed_tools,
        timeout=call.timeout,
        attempts=call.retry.attempts if call.retry else None,
        round=number,
        run_limit=origin.max_tokens,
        settled=run.take_settled(),
        began=run.take_begun(),
    )
    return workflow.start_activity(
        MODEL,
        request,
        result_type=ModelReply,
        task_queue=run.origin.model_queue,
        activity_id=call.path if number == 0 else f"{call.path}~{number + 1}",
        summary=f"{call.path}: {call.capability}",
        start_to_close_timeout=(call.timeout or policies.LONGEST_STEP) + policies.GRACE,
        heartbeat_timeout=policies.HEARTBEAT,
        retry_policy=policies.tries(call.retry),
    )


async def budget(run: RunState, path: str, failure: Failure, woken: int) -> None:
    """Until the reset, or until somebody says that there is budget again."""
    resets_at = failure.data.get("resets_at")
    until = datetime.fromisoformat(resets_at) if isinstance(resets_at, str) else None
    length = LONGEST_SLEEP
    if until is not None:
        length = max(timedelta(seconds=1), min(until - workflow.now(), LONGEST_SLEEP))
    waiting = Waiting(kind="budget", step=path, until=until, message=failure.message)
    with suppress(TimeoutError), run.wait_for(waiting):
        await workflow.wait_condition(
            lambda: run.woken > woken,
            timeout=length,
            timeout_summary=f"{path}: looks for budget again",
        )


async def crowd(run: RunState, path: str, number: int, woken: int) -> None:
    """Others hold what this call needs; their calls may take minutes, and attempts are few."""
    with suppress(TimeoutError):
        await workflow.wait_condition(
            lambda: run.woken > woken,
            timeout=min(LONGEST_LOOK, SHORTEST_LOOK * 2 ** min(number, 10)),
            timeout_summary=f"{path}: others hold the budget",
        )
