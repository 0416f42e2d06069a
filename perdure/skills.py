from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from perdure.bundle import read_bundle, zipped
from perdure.model import Page
from perdure.run import Started
from perdure.skill import Bundle, Checked, Pushed, Skill, SkillSummary
from perdure.wire import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from perdure.connection import Connection
    from perdure.wire import Wire

LARGEST_JSON = 1024 * 1024  # bytes; beyond, a zip is the smaller body
ZIP = {"Content-Type": "application/zip"}


class Skills:
    def __init__(self, wire: Wire, connection: Connection) -> None:
        self._wire = wire
        self._connection = connection

    async def list_page(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[SkillSummary]:
        page = {"limit": limit, "cursor": cursor}
        answer = await self._wire.get(self._connection.below("skills"), page)
        return Page[SkillSummary].read(answer)

    async def get(self, name: str) -> Skill:
        answer = await self._wire.get(self._connection.below("skills", name))
        return Skill.read(answer)

    async def run(
        self,
        name: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        label: str | None = None,
        mode: Literal["live", "dry"] = "live",
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        wait: timedelta | None = None,
    ) -> Started:
        """With `wait`, the answer has the output if the run ends in time.

        The end is told to `callback_url`, signed. In `dry` mode what would change something is
        recorded, and not done.
        """
        body: dict[str, Any] = {"inputs": dict(inputs or {})}
        if label is not None:
            body["label"] = label
        if mode == "dry":
            body["mode"] = mode
        if callback_url is not None:
            body["callback_url"] = callback_url
        # A key of its own makes it safe to ask again when the connection breaks.
        headers = {IDEMPOTENCY_KEY: idempotency_key or str(uuid4())}
        if wait is not None:
            headers["Prefer"] = f"wait={wait.total_seconds():g}"
        answer = await self._wire.send(
            "POST",
            self._connection.below("skills", name, "run"),
            json=body,
            headers=headers,
            patience=wait or timedelta(),
        )
        return Started.read(answer)

    async def check(self, skill: Path | Bundle) -> Checked:
        bundle = _bundle(skill)
        path = self._connection.below("skills", "check")
        if _fits_json(bundle):
            body = {"name": bundle.name, "files": bundle.texts}
            answer = await self._wire.send("POST", path, json=body)
        else:
            answer = await self._wire.send("POST", path, content=zipped(bundle), headers=ZIP)
        return Checked.read(answer)

    async def push(self, skill: Path | Bundle) -> Pushed:
        """It can be run at once; runs in flight keep the version they have."""
        bundle = _bundle(skill)
        path = self._connection.below("skills", bundle.name)
        if _fits_json(bundle):
            answer = await self._wire.send("PUT", path, json={"files": bundle.texts})
        else:
            answer = await self._wire.send("PUT", path, content=zipped(bundle), headers=ZIP)
        return Pushed.read({"name": bundle.name} | (answer or {}))

    async def remove(self, name: str) -> None:
        await self._wire.send("DELETE", self._connection.below("skills", name))


def _bundle(skill: Path | Bundle) -> Bundle:
    return skill if isinstance(skill, Bundle) else read_bundle(skill)


def _fits_json(bundle: Bundle) -> bool:
    return bundle.is_text and bundle.size <= LARGEST_JSON
