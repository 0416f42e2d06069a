"""How a run begins: its row first, then its workflow; and the same request only once."""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from core.digest import canonical, digest_of_text
from core.effects import MAX_VALUE_BYTES
from core.errors import FieldFault, Unavailable, ValueTooLarge
from core.inputs import settle
from core.run import Run, RunOrigin, Trigger
from services.workspaces import approve_writes
from store.runs import NewRun

if TYPE_CHECKING:
    from collections.abc import Generator

    from core.skill import Skill, SkillVersion
    from core.tool import Actor, Mode
    from services.starter import Starter
    from services.workspaces import WorkspaceRow
    from store.runs import Runs

LONGEST_PREFIX = 40
RANDOM_BYTES = 10


@dataclass(frozen=True)
class Once:
    """An Idempotency-Key as it is stored: what it stands for, and the request it came with."""

    key: bytes
    request: bytes

    @staticmethod
    def of(key: str | None, workspace: str, request: Any) -> Once | None:
        """A key is one for the whole workspace: with another skill it is another request."""
        if key is None:
            return None
        return Once(hash_of([workspace, key]), hash_of(request))


@dataclass(frozen=True)
class Beginning:
    """Everything a run starts from."""

    run_id: str
    origin: RunOrigin
    skill: Skill
    inputs: dict[str, Any]
    label: str | None = None
    once: Once | None = None
    event: dict[str, Any] | None = None
    callback_url: str | None = None


class Launch:
    def __init__(self, runs: Runs, starter: Starter) -> None:
        self._runs = runs
        self._starter = starter

    async def known(self, workspace: str, once: Once | None) -> Run | None:
        """The run that the same request began before."""
        if once is None:
            return None
        return await self._runs.find_keyed(workspace, once.key, once.request)

    async def begin(self, beginning: Beginning) -> Run:
        run, novelty = await self._queue(beginning)
        if novelty == "new":
            await self.start(beginning)
        return run

    async def ensure(self, beginning: Beginning) -> None:
        """Afterwards its workflow is started, whoever wrote its row, and whenever."""
        run, novelty = await self._queue(beginning)
        if novelty == "new" or await self.was_left(run):
            await self.start(beginning)

    async def _queue(self, beginning: Beginning) -> tuple[Run, Literal["new", "existing"]]:
        origin, once = beginning.origin, beginning.once
        return await self._runs.queue(
            NewRun(
                run_id=beginning.run_id,
                workspace_id=origin.workspace.id,
                skill=origin.skill,
                version=origin.version,
                trigger=origin.trigger,
                actor=origin.actor,
                label=beginning.label,
                parent=origin.parent,
                lineage=origin.lineage,
                retry_of=origin.given_by,
                inputs=beginning.inputs,
                created_at=datetime.now(UTC),
                idempotency_hash=once and once.key,
                request_hash=once and once.request,
                callback_url=beginning.callback_url,
            )
        )

    async def start(self, beginning: Beginning) -> None:
        with naming(beginning.run_id):
            await self._starter.start(
                beginning.run_id,
                beginning.origin,
                beginning.skill,
                beginning.inputs,
                beginning.label,
                beginning.event,
            )

    async def was_left(self, run: Run) -> bool:
        """Whether its row was written, and its workflow is not started.

        Either a crash came between, or who wrote the row is about to start it: then both do, which
        is harmless. Who is answered does not ask again, so that no answer may be given before.
        """
        if run.status != "queued":
            return False
        with naming(run.run_id):
            return not await self._starter.is_known(run.run_id)


@contextmanager
def naming(run_id: str) -> Generator[None]:
    """Whoever hears that Temporal is away hears which run it was: its row is written."""
    try:
        yield
    except Unavailable as away:
        away.data["run_id"] = run_id
        raise


def fresh_run_id(skill: str) -> str:
    chance = base64.b32encode(os.urandom(RANDOM_BYTES)).decode().lower()
    return f"{skill[:LONGEST_PREFIX].rstrip('-')}-{chance}"


def new_origin(
    workspace: WorkspaceRow,
    version: SkillVersion,
    pins: dict[str, str],
    run_id: str,
    actor: Actor,
    *,
    trigger: Trigger = "manual",
    mode: Mode = "live",
    depth: int = 0,
) -> RunOrigin:
    """Of a run that no other run started or gave anything to."""
    skill = version.skill
    return RunOrigin(
        workspace=workspace.workspace,
        skill=skill.name,
        version=version.hash,
        lineage=run_id,
        trigger=trigger,
        actor=actor,
        depth=depth,
        mode=mode,
        pins=pins,
        allowed_tools=skill.allowed_tools,
        max_tokens=skill.flow.max_tokens,
        approve_writes=approve_writes(workspace.settings),
        instructions_digest=digest_of_text(skill.instructions),
    )


def settled(skill: Skill, given: dict[str, Any]) -> dict[str, Any]:
    """Inputs with defaults; raises InvalidInputs, or ValueTooLarge."""
    inputs = settle(skill.flow.inputs, given)
    size = len(canonical(inputs).encode())
    if size > MAX_VALUE_BYTES:
        message = f"expected at most {MAX_VALUE_BYTES:,} bytes of JSON, got {size:,}"
        raise ValueTooLarge(
            f"inputs: {message}", errors=[FieldFault(field="inputs", message=message)]
        )
    return inputs


def hash_of(value: Any) -> bytes:
    return hashlib.sha256(canonical(value).encode()).digest()
