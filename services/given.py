"""What an earlier run finished, for the run that retries it: nothing is done or paid for twice."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from core.digest import digest_of
from core.effects import BATCH, CHILD, DECIDE, EVENT, GIVEN, Given, GivenRequest, GivenStep
from core.errors import HistoryGone, NotFound
from core.fold import STEP_PATH
from core.history import (
    Answered,
    Asked,
    Began,
    ChildClosed,
    ChildInitiated,
    Closed,
    Completed,
    Happened,
    Json,
    Scheduled,
    TimerEnded,
    TimerSet,
)
from core.line import BATCH_NAME
from services import executions

if TYPE_CHECKING:
    from temporalio.client import Client

PAGE_BYTES = 900_000  # a payload may have 2 MiB
STEP_BYTES = 100  # of digest and punctuation
READ_AT_ONCE = 6
LONGEST_CHAIN = 100

Paths = tuple[str, int, int]
GIVEN_TO_IT = ""


@dataclass(slots=True)
class Finished:
    digest: str
    output: Json


@dataclass
class Execution:
    """One history, or several of one run laid over each other; later ones win."""

    steps: dict[str, Finished] = field(default_factory=dict[str, Finished])
    children: dict[str, str] = field(default_factory=dict[str, str])
    batches: list[str] = field(default_factory=list[str])
    workspace: str | None = None
    given_by: str | None = None
    # Whether it had read all that the run before it gave: then that one need not be read again.
    has_read_given: bool = False
    # Of a batch that completed: how many items it came to.
    outputs: int | None = None

    def lay(self, other: Execution) -> None:
        self.steps.update(other.steps)
        self.children = {
            path: run
            for path, run in {**self.children, **other.children}.items()
            if path not in other.steps
        }


async def read(client: Client, request: GivenRequest) -> Given:
    """Without `paths`: the run's own history, whose batches are asked for one by one."""
    found = await _chain(client, request)
    steps = {path: step for path, step in found.steps.items() if within(path, request.paths)}
    page, more = _page(steps, request.page)
    children = {path: run for path, run in found.children.items() if within(path, request.paths)}
    return Given(steps=page, children=children if request.page == 0 else {}, more=more)


async def _chain(client: Client, request: GivenRequest) -> Execution:
    """The run, and below it those it retried itself, as far as it had not read them all."""
    layers: list[Execution] = []
    run: str | None = request.run
    while run is not None and len(layers) < LONGEST_CHAIN:
        try:
            found = await _run(client, run, request.paths)
        except NotFound:
            if not layers:
                raise HistoryGone(f"the history of run {run} is no longer kept") from None
            break
        if found.workspace != request.workspace:
            raise NotFound(f"there is no run {run}")
        layers.append(found)
        run = None if found.has_read_given else found.given_by
    whole = Execution()
    for layer in reversed(layers):
        whole.lay(layer)
    return whole


async def _run(client: Client, run: str, paths: Paths | None) -> Execution:
    if paths is None:
        return await _execution(client, run)
    path, lo, hi = paths
    try:
        # Most often the same items are asked for again.
        same = await _execution(client, f"{run}/{path}[{lo}..{hi}]")
    except NotFound:
        return await _with_batches(client, run, paths)
    # Where its outputs filled a batch, another went on with the rest of its items.
    is_whole = same.outputs is None or same.outputs == hi - lo + 1
    return same if is_whole else await _with_batches(client, run, paths)


async def _with_batches(client: Client, run: str, paths: Paths) -> Execution:
    """The items may have stood in the run itself, or in batches of other bounds."""
    whole = await _execution(client, run)
    covered: list[tuple[int, int]] = []
    batches = list(whole.batches)
    read_all = True
    while batches:
        wanted = [batch for batch in batches if overlaps(batch, paths)]
        slots = asyncio.Semaphore(READ_AT_ONCE)
        found = await asyncio.gather(*(_slot(slots, client, f"{run}/{name}") for name in wanted))
        batches = []
        for name, batch in zip(wanted, found, strict=True):
            whole.lay(batch)
            batches += batch.batches
            read_all = read_all and batch.has_read_given
            covered += [span(name)] if name.startswith(f"{paths[0]}[") else []
    whole.has_read_given = read_all and covers(covered, paths)
    return whole


async def _slot(slots: asyncio.Semaphore, client: Client, workflow: str) -> Execution:
    async with slots:
        try:
            return await _execution(client, workflow)
        except NotFound:
            return Execution()  # asked for, but never begun


async def _execution(client: Client, workflow: str) -> Execution:
    reader = Reader()
    async with aclosing(executions.read(client, workflow, "now")) as pages:
        async for page in pages:
            for event in page.events:
                reader.read(event)
    return reader.found


class Reader:
    """Picks out of a history what finished."""

    def __init__(self) -> None:
        self.found = Execution()
        self._open: dict[int, tuple[str, str]] = {}  # path and digest, by history event
        self._looks: set[int] = set()  # for an event that may not have come yet
        self._prepared: dict[str, tuple[str, str]] = {}  # by child run
        self._decisions: dict[int, dict[str, Any]] = {}
        self._is_batch = False

    def read(self, event: Happened) -> None:
        match event:
            case Began():
                self._began(event)
            case Scheduled():
                self._scheduled(event)
            case Completed():
                self._completed(event)
            case ChildInitiated() | ChildClosed():
                self._child(event)
            case TimerSet() if event.summary and STEP_PATH.fullmatch(event.summary):
                self._open[event.id] = event.summary, digest_of("wait", event.summary)
            case TimerEnded() if event.how == "fired":
                self._finish(event.started, Json())
            case Asked() if event.name == DECIDE:
                self._decisions[event.id] = event.argument.fields()
            case Answered():
                self._decided(event)
            case Closed() if event.how == "completed" and self._is_batch:
                self.found.outputs = len(event.output.fields().get("outputs", ()))
            case _:
                pass

    def _began(self, event: Began) -> None:
        self._open.clear()  # history events are counted anew in each execution
        self._decisions.clear()
        self._is_batch = event.type == BATCH
        if event.continued:
            return
        origin = event.origin.fields()
        self.found.workspace = origin.get("workspace", {}).get("id")
        self.found.given_by = origin.get("given_by")

    def _scheduled(self, event: Scheduled) -> None:
        request = event.request.fields()
        if event.type == GIVEN:
            self._open[event.id] = GIVEN_TO_IT, ""
        elif event.type == CHILD:
            body = {"skill": request["skill"], "inputs": request["inputs"]}
            self._prepared[request["run"]] = request["path"], digest_of("skill", body)
        elif "digest" in request:
            # A model that was asked again, once there was budget, has another activity.
            path = request.get("context", {}).get("path", event.activity)
            self._open[event.id] = path, request["digest"]
            if event.type == EVENT:
                self._looks.add(event.id)

    def _completed(self, event: Completed) -> None:
        path, _ = self._open.get(event.scheduled, (None, None))
        if path == GIVEN_TO_IT:
            self._was_given(event.output.fields())
        elif event.scheduled not in self._looks or event.output.fields().get("event") is not None:
            self._finish(event.scheduled, event.output)

    def _was_given(self, given: dict[str, Any]) -> None:
        for path, step in given.get("steps", {}).items():
            output = Json(to_json(step.get("output")))
            self.found.steps.setdefault(path, Finished(step["digest"], output))
        for path, run in given.get("children", {}).items():
            self.found.children.setdefault(path, run)
        self.found.has_read_given = not given.get("more")

    def _child(self, event: ChildInitiated | ChildClosed) -> None:
        if isinstance(event, ChildClosed):
            if event.how == "completed":
                self._finish(event.initiated, event.output)
        elif event.type == BATCH:
            self.found.batches.append(event.workflow.partition("/")[2])
        elif event.workflow in self._prepared:
            self._open[event.id] = self._prepared.pop(event.workflow)
            self.found.children[self._open[event.id][0]] = event.workflow

    def _decided(self, event: Answered) -> None:
        decision = self._decisions.pop(event.accepted, {})
        answer = event.output.fields()
        path, asked = answer.get("step"), answer.pop("asked", "")
        if event.failure is None and path and decision.get("verdict") == "approved":
            self.found.steps[path] = Finished(asked, Json(to_json(answer)))

    def _finish(self, opened: int, output: Json) -> None:
        path, digest = self._open.pop(opened, (None, ""))
        if path:
            self.found.steps[path] = Finished(digest, output)
            self.found.children.pop(path, None)


def _page(steps: dict[str, Finished], page: int) -> tuple[dict[str, GivenStep], bool]:
    """The pages of equal readings are equal: the order is that of the history."""
    number = size = 0
    found: dict[str, GivenStep] = {}
    for path, step in steps.items():
        weight = len(step.output.raw) + len(path) + STEP_BYTES
        if size and size + weight > PAGE_BYTES:
            number, size = number + 1, 0
        if number > page:
            return found, True
        size += weight
        if number == page:
            found[path] = GivenStep(digest=step.digest, output=step.output.load())
    return found, False


def within(path: str, paths: Paths | None) -> bool:
    if paths is None:
        return True
    begin, lo, hi = paths
    match = re.match(r"\[(\d+)\]", path.removeprefix(begin)) if path.startswith(begin) else None
    return match is not None and lo <= int(match[1]) <= hi


def overlaps(batch: str, paths: Paths) -> bool:
    """Whether the batch holds some of these items, or the item they are nested in."""
    path, lo, hi = paths
    parent, (first, last) = batch.rpartition("[")[0], span(batch)
    return (parent == path and first <= hi and lo <= last) or within(path, (parent, first, last))


def span(batch: str) -> tuple[int, int]:
    match = BATCH_NAME.fullmatch(batch)
    return (int(match["lo"]), int(match["hi"])) if match else (0, -1)


def covers(spans: list[tuple[int, int]], paths: Paths) -> bool:
    _, position, hi = paths
    for first, last in sorted(spans):
        if first <= position:
            position = max(position, last + 1)
    return position > hi
