"""The servers every other test stands on are what they promise to be."""

from __future__ import annotations

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from services.namespace import SEARCH_ATTRIBUTES
from store.pool import Pool


@pytest.mark.parametrize("test", ["one", "another"])
async def test_a_database_belongs_to_one_test(pool: Pool, test: str) -> None:
    await pool.execute("CREATE TABLE only_here (id int)")
    await pool.execute("INSERT INTO only_here VALUES (1)")
    assert await pool.fetchval("SELECT count(*) FROM only_here") == 1, test


async def test_postgres_sorts_the_same_everywhere_and_has_vectors(pool: Pool) -> None:
    assert await pool.fetchval("SELECT lower('ÀÉ')") == "àé"
    assert await pool.fetchval("SELECT 'Z' < 'a'")
    await pool.execute("CREATE EXTENSION IF NOT EXISTS vector")
    assert await pool.fetchval("SELECT '[1,2]'::vector <-> '[1,4]'::vector") == 2


async def test_the_namespace_has_our_search_attributes(temporal: Client) -> None:
    found = await temporal.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=temporal.namespace)
    )
    assert set(SEARCH_ATTRIBUTES) <= set(found.custom_attributes)
