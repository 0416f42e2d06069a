"""Pages come late, twice and in any order: the tables end as they would have in order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.crm import Activity, Change, Contact, Deal, DealContact, Pipeline, Record, Stage
from tests.integration.told import ToldRecords

if TYPE_CHECKING:
    from store.pool import Pool

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
STAGES = ("new", "talks", "closed")
DUMP = {
    "crm_pipelines": "SELECT * FROM crm_pipelines WHERE workspace_id = $1 ORDER BY id",
    "crm_stages": "SELECT * FROM crm_stages WHERE workspace_id = $1 ORDER BY pipeline_id, id",
    "crm_contacts": "SELECT * FROM crm_contacts WHERE workspace_id = $1 ORDER BY id",
    "crm_deals": "SELECT * FROM crm_deals WHERE workspace_id = $1 ORDER BY id",
    "crm_deal_contacts": "SELECT * FROM crm_deal_contacts WHERE workspace_id = $1 ORDER BY 2, 3",
    "crm_deal_changes": "SELECT * FROM crm_deal_changes WHERE workspace_id = $1 ORDER BY 2, 3, 4",
    "crm_activities": "SELECT * FROM crm_activities WHERE workspace_id = $1 ORDER BY id",
    "crm_activity_deals": "SELECT * FROM crm_activity_deals WHERE workspace_id = $1 ORDER BY 2, 4",
}
NOT_COMPARED = ("workspace_id", "pass")


def at(hour: int) -> datetime:
    return NOON + timedelta(hours=hour)


def pipeline(hour: int) -> Pipeline:
    """Whether its last stage is won depends on the time."""
    stages = [
        Stage(
            id=name, name=name, position=place, outcome="won" if place == 2 - hour % 2 else "open"
        )
        for place, name in enumerate(STAGES)
    ]
    return Pipeline(id="p", modified_at=at(hour), name=f"At {hour}", stages=tuple(stages))


def deal(id: str, hour: int) -> Deal:
    """Its history is all that happened to it until then."""
    history = [
        Change(field="stage", at=at(past), value=STAGES[past % 3]) for past in range(hour + 1)
    ]
    return Deal(
        id=id,
        modified_at=at(hour),
        name=f"{id} at {hour}",
        pipeline="p",
        stage=STAGES[hour % 3],
        created_at=NOON,
        contacts=tuple(DealContact(contact=f"c{each}") for each in range(hour % 3)),
        changes=tuple(history),
    )


def activity(id: str, hour: int) -> Activity:
    deals = tuple(f"d{each}" for each in range(hour % 3))
    return Activity(id=id, modified_at=at(hour), at=at(hour - 9), deals=deals, body=f"At {hour}")


def contact(id: str, hour: int) -> Contact:
    return Contact(id=id, modified_at=at(hour), name=f"{id} at {hour}")


def gone(kind: type[Record], id: str, hour: int) -> Record:
    return kind(id=id, modified_at=at(hour), deleted=True)


hours = st.integers(0, 5)
names = st.sampled_from(["d0", "d1"])
states: st.SearchStrategy[Record] = st.one_of(
    st.builds(pipeline, hours),
    st.builds(lambda hour: gone(Pipeline, "p", hour), hours),
    st.builds(deal, names, hours),
    st.builds(lambda id, hour: gone(Deal, id, hour), names, hours),
    st.builds(activity, names, hours),
    st.builds(lambda id, hour: gone(Activity, id, hour), names, hours),
    st.builds(contact, names, hours),
    st.builds(lambda id, hour: gone(Contact, id, hour), names, hours),
)
pages = st.lists(st.lists(states, min_size=1, max_size=4), min_size=1, max_size=5)


async def dump(pool: Pool, workspace: str) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [
            {name: value for name, value in row.items() if name not in NOT_COMPARED}
            for row in await pool.fetch(query, workspace)
        ]
        for table, query in DUMP.items()
    }


async def written(pool: Pool, told: list[list[Record]]) -> dict[str, list[dict[str, Any]]]:
    workspace = uuid4().hex
    for page in told:
        await ToldRecords(pool).write(workspace, "crm", page, sync="s")
    return await dump(pool, workspace)


async def test_whatever_order_pages_come_in_the_newest_stays(pool: Pool) -> None:
    loop = asyncio.get_running_loop()

    @settings(max_examples=40, suppress_health_check=list(HealthCheck), database=None)
    @given(told=pages, chance=st.randoms(use_true_random=False))
    def hold(told: list[list[Record]], chance: Any) -> None:
        shuffled = [*told, *chance.sample(told, chance.randint(0, len(told)))]
        chance.shuffle(shuffled)
        in_order = sorted(
            (record for page in told for record in page),
            key=lambda record: (record.modified_at, record.deleted),
        )
        apart = asyncio.run_coroutine_threadsafe(written(pool, shuffled), loop).result(30)
        whole = asyncio.run_coroutine_threadsafe(written(pool, [in_order]), loop).result(30)
        assert apart == whole

    await asyncio.to_thread(hold)
