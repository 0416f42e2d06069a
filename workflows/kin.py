"""Waits between a run and those it started: who only waits for them is waiting too."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from core.effects import WAITS, ChildWaits
from core.run import Waiting

# Each telling costs the parent's history some events; who changes more often is called running.
MOST_TOLD = 20
Asked = frozenset[tuple[str | None, str]]
# Of executions that began before they told anybody.
TOLD_TO_PARENTS = "waits-are-told-to-parents"


class Children:
    """What those that were started here said of themselves last."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._waiting: dict[str, tuple[Waiting, ...]] = {}

    def hear(self, told: ChildWaits) -> None:
        waiting = told.waiting
        # A batch is this run itself: people answer it here.
        if not told.child.startswith(f"{self._run_id}/"):
            waiting = tuple(
                each.model_copy(update={"run": each.run or told.child}) for each in waiting
            )
        self._waiting[told.child] = waiting

    def waiting(self, open: Collection[str]) -> dict[str, tuple[Waiting, ...]]:
        """What came late, of one that has ended, counts no more."""
        return {key: waits for key, waits in self._waiting.items() if waits and key in open}

    def forget(self, key: str) -> None:
        self._waiting.pop(key, None)


class Parent:
    """Is told when nothing goes on here but waiting, and when that is over."""

    def __init__(self, waits: Callable[[], tuple[Waiting, ...]]) -> None:
        self._waits = waits
        self._told: Asked | None = None
        self._times = 0
        self._telling: asyncio.Task[None] | None = None

    def changed(self) -> None:
        if self._telling is None and self._is_news:
            self._telling = asyncio.create_task(self._tell())

    @property
    def _is_news(self) -> bool:
        if workflow.info().parent is None or asked(self._worth_telling()) == self._told:
            return False
        return self._told is not None or self._times < MOST_TOLD

    def _worth_telling(self) -> tuple[Waiting, ...]:
        """Timers end by themselves, and may be many and short."""
        waits = self._waits()
        return waits if any(each.kind != "timer" for each in waits) else ()

    async def _tell(self) -> None:
        await asyncio.sleep(0)  # what happens in one breath is one change
        info = workflow.info()
        while self._is_news:
            if info.parent is None or not workflow.patched(TOLD_TO_PARENTS):
                return  # with `_telling` set, nobody asks again
            waits = self._worth_telling() if self._times < MOST_TOLD else ()
            self._told = asked(waits)
            self._times += 1
            parent = workflow.get_external_workflow_handle(info.parent.workflow_id)
            await tell(parent, WAITS, ChildWaits(child=info.workflow_id, waiting=waits))
        self._telling = None


def asked(waits: tuple[Waiting, ...]) -> Asked | None:
    """Whether it waits, and what people are asked: what else it waits for is worth no signal."""
    if not waits:
        return None
    return frozenset((each.run, each.step) for each in waits if each.kind == "approval")


async def tell(
    other: workflow.ChildWorkflowHandle[Any, Any] | workflow.ExternalWorkflowHandle[Any],
    signal: str,
    argument: Any,
) -> None:
    """One that ended meanwhile needs no telling."""
    try:
        await other.signal(signal, argument)
    except (ApplicationError, FailureError):
        return
