"""kill -9 of the worker while it syncs an uploaded file: each row is there once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kernel import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.client import Client
    from tests.chaos.installed import Installed

ROWS = 30_000
KILLS = 2
FOLLOWS = """\
triggers:
  - event: sync_completed
steps:
  - id: seen
    compute: echo
    with: {value: "${event.data}"}
"""


async def read_so_far(client: Client) -> int:
    source = await client.sources.get("crm")
    return sum(kind.read for kind in source.kinds if kind.kind == "accounts")


async def test_a_sync_loses_and_doubles_no_row_whenever_its_worker_is_killed(
    installed: Installed, tmp_path: Path
) -> None:
    file = tmp_path / "accounts.csv"
    file.write_text("id,name\n" + "".join(f"a{n},Account {n}\n" for n in range(ROWS)), "utf-8")
    async with installed.new_workspace() as ours:
        client = ours.client
        skill = await ours.push(FOLLOWS)
        await client.sources.add("crm", {"type": "files"})
        await client.sources.upload("crm", "accounts", file)
        started = await client.sources.sync("crm")
        for kill in range(KILLS):
            past = (kill + 0.5) * ROWS / (KILLS + 1)
            await eventually(lambda: read_so_far(client), lambda read: read > past)  # noqa: B023
            await (await ours.kill("worker")).over()
        run = await client.runs.wait(started.run_id)
        assert run.status == "succeeded", run.error
        assert run.output["by_type"]["accounts"] == {
            "read": ROWS, "written": ROWS, "deleted": 0, "unchanged": 0, "faults": 0,
        }  # fmt: skip
        again = await client.runs.wait((await client.sources.sync("crm", announce="no")).run_id)
        assert again.output["by_type"]["accounts"]["unchanged"] == ROWS
        followers = await eventually(
            lambda: client.runs.list_page(skill=skill), lambda page: bool(page.items)
        )
        assert len(followers.items) == 1
