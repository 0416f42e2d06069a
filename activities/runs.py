from typing import Protocol

from temporalio import activity

from activities.failures import reports_failures
from core.effects import CHILD, GIVEN, ChildReady, ChildRequest, Given, GivenRequest


class Histories(Protocol):
    async def given(self, request: GivenRequest) -> Given: ...


class Children(Protocol):
    async def prepare(self, request: ChildRequest) -> ChildReady: ...


class RunActivities:
    """What a run needs to know of other runs: the one it retries, and those it starts."""

    def __init__(self, histories: Histories, children: Children) -> None:
        self._histories = histories
        self._children = children

    @activity.defn(name=GIVEN)
    @reports_failures
    async def given(self, request: GivenRequest) -> Given:
        return await self._histories.given(request)

    @activity.defn(name=CHILD)
    @reports_failures
    async def child(self, request: ChildRequest) -> ChildReady:
        return await self._children.prepare(request)
