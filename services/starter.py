"""Starts a run's workflow, the same way whatever asks for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowFailureError
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from core.effects import MODEL_QUEUE, TASK_QUEUE, ModelQueue
from core.run import FlowInput, RunOrigin
from services import reach

if TYPE_CHECKING:
    from temporalio.client import Client

    from core.skill import Skill

MEMO = "perdure"  # holds the RunOrigin
WORKSPACE = SearchAttributeKey.for_keyword("PerdureWorkspace")
SKILL = SearchAttributeKey.for_keyword("PerdureSkill")
STATUS = SearchAttributeKey.for_keyword("PerdureStatus")
TRIGGER = SearchAttributeKey.for_keyword("PerdureTrigger")
# A killed worker's workflow task is given to another one after this long.
TASK_TIMEOUT = timedelta(seconds=5)
LONGEST_SUMMARY = 200


class Starter:
    def __init__(
        self, client: Client, task_queue: str = TASK_QUEUE, model_queue: ModelQueue = "shared"
    ) -> None:
        self._client = client
        self._task_queue = task_queue
        self._model_queue = task_queue + MODEL_QUEUE if model_queue == "own" else None

    async def start(
        self,
        run_id: str,
        origin: RunOrigin,
        skill: Skill,
        inputs: dict[str, Any],
        label: str | None,
        event: dict[str, Any] | None = None,
    ) -> None:
        """Harmless where it was started before: a run id is used once, for ever."""
        argument: Any = inputs
        if skill.kind == "flow":
            argument = FlowInput(flow=skill.flow, inputs=inputs, event=event)
        try:
            async with reach.temporal():
                await self._client.start_workflow(
                    origin.skill,
                    argument,
                    id=run_id,
                    task_queue=self._task_queue,
                    task_timeout=TASK_TIMEOUT,
                    memo={MEMO: origin.model_copy(update={"model_queue": self._model_queue})},
                    search_attributes=TypedSearchAttributes(
                        [
                            SearchAttributePair(WORKSPACE, origin.workspace.id),
                            SearchAttributePair(SKILL, origin.skill),
                            SearchAttributePair(STATUS, "running"),
                            SearchAttributePair(TRIGGER, origin.trigger),
                        ]
                    ),
                    static_summary=(label or origin.skill)[:LONGEST_SUMMARY],
                    priority=Priority(fairness_key=origin.workspace.id),
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                )
        except WorkflowAlreadyStartedError:
            return

    async def is_known(self, run_id: str) -> bool:
        """Whether Temporal has the workflow, open or closed."""
        try:
            async with reach.temporal():
                await self._client.get_workflow_handle(run_id).describe()
        except RPCError as error:
            if reach.is_not_found(error):
                return False
            raise
        return True

    async def ended_within(self, run_id: str, patience: timedelta) -> bool:
        """Waits for the end, whatever it is."""
        handle = self._client.get_workflow_handle(run_id)
        try:
            async with reach.temporal(patience):
                await handle.result()
        except reach.Unavailable:
            return False
        except WorkflowFailureError:
            return True
        return True
