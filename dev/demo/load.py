"""The demo company's data as a source like any other, through the gateway.

`make demo` (`python -m dev.demo.load`) dates it today, in the installation that runs here.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2

from core.run import ENDED
from dev import home
from dev.workspace import client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.home import Home

SOURCE = "demo"
WITHIN = timedelta(minutes=3)
LOOK_EVERY = 0.2  # seconds
FRESH = timedelta(days=7)  # what is older says less and less of this week
AGAIN = "`make demo`"


class NotLoaded(Exception):
    """Why, in one line for the user."""


class DemoSource:
    def __init__(self, client: httpx2.AsyncClient, workspace: str) -> None:
        self._client = client
        self._all = f"/api/workspaces/{workspace}/sources"
        self._own = f"{self._all}/{SOURCE}"

    async def is_wanted(self) -> bool:
        """Where there is no other source, and this one was never read."""
        sources = _json(await self._client.get(self._all))["items"]
        return all(each["id"] == SOURCE and each["last_run_id"] is None for each in sources)

    async def is_there(self) -> bool:
        return (await self._client.get(self._own)).is_success

    async def was_read(self) -> bool:
        found = await self._client.get(self._own)
        return found.is_success and found.json()["last_run_id"] is not None

    async def load(self, day: date) -> int:
        """In the place of what it had; how many records that is. No skill is started by it."""
        files = await asyncio.to_thread(_files, day)
        # Another day's deals have the same ids and another past, and a past is only added to.
        if await self.is_there():
            _json(await self._client.delete(self._own, params={"records": "delete"}))
        made = {"id": SOURCE, "config": {"type": "files"}}
        _json(await self._client.post(self._all, json=made))
        for kind, data in files.items():
            path = f"{self._own}/files/{kind}"
            _json(await self._client.put(path, params={"format": "jsonl"}, content=data))
        run = _json(await self._client.post(f"{self._own}/sync", json={"announce": False}))
        await self._ended(run["run_id"])
        return sum(each["read"] for each in _json(await self._client.get(self._own))["kinds"])

    async def _ended(self, run_id: str) -> None:
        deadline = time.monotonic() + WITHIN.total_seconds()
        while (run := _json(await self._client.get(f"/api/runs/{run_id}")))["status"] not in ENDED:
            if time.monotonic() > deadline:
                raise NotLoaded(f"its sync {run_id} has not ended yet: does a worker run?")
            await asyncio.sleep(LOOK_EVERY)
        if run["status"] != "succeeded":
            raise NotLoaded(f"its sync {run_id} {run['status']}")


async def load_at_first(
    client: httpx2.AsyncClient, workspace: str, mine: Home, say: Callable[[str], None]
) -> None:
    """Once; whatever is in the way of it, everything else goes on."""
    demo = DemoSource(client, workspace)
    try:
        day = mine.demo_data()
        if day is None and await demo.is_wanted():
            say("loading the data of a demo company …")
            started = time.monotonic()
            records = await demo.load(today())
            mine.note_demo_data(today())
            say(f"{records:,} records loaded in {time.monotonic() - started:.1f} s")
        elif day is not None and today() - day > FRESH and await demo.is_there():
            say(f"the data of the demo company ends on {day}: {AGAIN} brings it up to today")
    except Exception as error:
        reason = str(error) or type(error).__name__
        say(f"no demo data ({reason}): {AGAIN} tries again")


async def load_again(mine: Home) -> int:
    known = mine.credentials()
    if not known:
        raise NotLoaded(f"there is no installation in {mine.path}: start one with `make up`")
    try:
        async with client_of(known["url"], known["workspace_key"]) as client:
            demo = DemoSource(client, known["workspace_id"])
            if mine.demo_data() is None and await demo.was_read():
                raise NotLoaded(
                    f"the source {SOURCE} may be yours: `perdure sources remove` it first"
                )
            records = await demo.load(today())
    except httpx2.TransportError as error:
        raise NotLoaded(f"{known['url']} does not answer: start it with `make up`") from error
    mine.note_demo_data(today())
    return records


def today() -> date:
    return datetime.now(UTC).date()


def _files(day: date) -> dict[str, bytes]:
    # A tenth of a second that only a first start should take.
    from core.crm import KINDS
    from dev.demo.company import company

    told = company(day)
    return {kind: told.lines(kind).encode() for kind in KINDS}


def _json(answer: httpx2.Response) -> Any:
    if answer.is_error:
        raise NotLoaded(f"the gateway answered {answer.status_code}: {answer.text[:200]}")
    return answer.json()


def main() -> None:
    try:
        records = asyncio.run(load_again(home.Home(home.chosen())))
    except NotLoaded as reason:
        sys.exit(f"perdure: {reason}")
    print(f"{records:,} records of the demo company, up to {today()}")


if __name__ == "__main__":
    main()
