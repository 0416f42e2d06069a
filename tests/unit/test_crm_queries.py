"""Each question about business data is one statement, bound to a workspace."""

from __future__ import annotations

import pytest

from store.crm.asking import Query, load
from tools import specs

QUERIES = load()


def test_each_tool_has_a_query_of_its_name() -> None:
    tools = {tool.name.removeprefix("crm_") for tool in specs() if tool.name.startswith("crm_")}
    assert QUERIES.keys() == tools | {"names"}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_one_statement_bound_to_a_workspace(name: str) -> None:
    query = QUERIES[name]
    assert ";" not in query.sql
    assert f"${query.parameters.index('workspace') + 1}" in query.sql
    assert ":workspace" not in query.sql


def test_parameters_are_numbered_once_and_casts_are_left_alone() -> None:
    query = Query.read("SELECT :b::int, :workspace, :a, :b, ':*', now()::date")
    assert query.sql == "SELECT $1::int, $2, $3, $1, ':*', now()::date"
    assert query.values("w", {"a": 1, "b": 2}) == [2, "w", 1]


def test_the_workspace_is_never_an_argument() -> None:
    query = Query.read("SELECT :workspace")
    assert query.values("mine", {"workspace": "another"}) == ["mine"]


@pytest.mark.parametrize("arguments", [{}, {"a": 1, "b": 2}])
def test_arguments_are_those_of_the_query(arguments: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"lacks: [ab]$"):
        Query.read("SELECT :workspace, :a").values("w", arguments)


def test_a_query_without_a_workspace_is_refused() -> None:
    with pytest.raises(ValueError, match="bound to :workspace"):
        Query.read("SELECT 1")
