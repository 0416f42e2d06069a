"""Rows of runs as they are sealed and read; each field is bound to its workspace and its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from core.budget import RunUsage
from core.run import Failure, Run, Waiting
from core.tool import Actor
from store.spending import usage_of

if TYPE_CHECKING:
    from asyncpg import Record

    from store.sealing import Keyring


class RunRows:
    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, value: Any, workspace: str, run_id: str, field: str) -> bytes | None:
        if value is None:
            return None
        return self._keyring.seal_json(value, f"{workspace}/runs/{run_id}/{field}")

    def open(self, sealed: bytes | None, workspace: str, run_id: str, field: str) -> Any:
        if sealed is None:
            return None
        return self._keyring.open_json(sealed, f"{workspace}/runs/{run_id}/{field}")

    def seal_failure(self, error: Failure | None, workspace: str, run_id: str) -> bytes | None:
        return self.seal(error and error.model_dump(mode="json"), workspace, run_id, "error")

    def seal_waiting(
        self, waiting: tuple[Waiting, ...], workspace: str, run_id: str
    ) -> bytes | None:
        told = [one.model_dump(mode="json") for one in waiting]
        return self.seal(told or None, workspace, run_id, "waiting_for")

    def run(self, row: Record) -> Run:
        place = (cast("str", row["workspace_id"]), cast("str", row["run_id"]))
        error = self.open(row["error"], *place, "error")
        waiting = self.open(row["waiting_for"], *place, "waiting_for") or ()
        started, completed = row["started_at"], row["completed_at"]
        took = completed - started if completed and started else None
        usage = usage_of(row) if "calls" in row else RunUsage()
        return Run(
            run_id=row["run_id"],
            workspace_id=row["workspace_id"],
            skill=row["skill"],
            version=row["version"],
            status=row["status"],
            trigger=row["trigger"],
            actor=Actor(kind=row["actor_kind"], id=row["actor_id"]),
            label=row["label"],
            subject_kind=row["subject_kind"],
            subject_id=row["subject_id"],
            parent=row["parent"],
            lineage=row["lineage"],
            retry_of=row["retry_of"],
            inputs=self.open(row.get("inputs"), *place, "inputs") or {},
            output=self.open(row.get("output"), *place, "output"),
            error=error and Failure.model_validate(error),
            waiting_for=tuple(Waiting.model_validate(one) for one in waiting),
            created_at=row["created_at"],
            started_at=started,
            completed_at=completed,
            duration_ms=None if took is None else round(took.total_seconds() * 1000),
            token_usage=usage.tokens,
            cost=usage.dollars,
        )
