from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict

from core.errors import ToolUnknown
from core.model import Frozen
from core.tool import Actor, RunContext, ToolContext
from tools import open_registry, specs
from tools.registry import Registry, spec, tool

if TYPE_CHECKING:
    from collections.abc import Callable

CONTEXT = ToolContext(
    run=RunContext(
        workspace="acme", run="r", lineage="r", path="a", actor=Actor(kind="system", id="test")
    ),
    effect_key="r:a#1:0",
)


class Deal(Frozen):
    id: int
    stage: str = "open"


@tool("read", timeout=timedelta(seconds=5), secret_fields=frozenset({"stage"}))
async def crm_get_deal(deal: Deal, context: ToolContext) -> Deal:
    """Look up one deal."""
    return Deal(id=deal.id, stage=context.run.workspace)


@tool(lambda deal: "read" if deal.stage == "open" else "write")
async def crm_move_deal(deal: Deal, _: ToolContext) -> int:
    """Move a deal."""
    return deal.id


def test_a_tool_is_described_by_its_function() -> None:
    told = spec(crm_get_deal)
    assert (told.name, told.description, told.effect) == (
        "crm_get_deal",
        "Look up one deal.",
        "read",
    )
    assert (told.timeout, told.secret_fields) == (5.0, ("stage",))
    assert told.arguments["required"] == ["id"]
    assert told.arguments["additionalProperties"] is False


async def test_a_model_that_a_tool_returns_becomes_json() -> None:
    assert await crm_get_deal.call(Deal(id=7), CONTEXT) == {"id": 7, "stage": "acme"}


def test_an_effect_that_depends_on_the_input_counts_as_a_write_without_it() -> None:
    assert crm_move_deal.effect(Deal(id=1)) == "read"
    assert crm_move_deal.effect(Deal(id=1, stage="won")) == "write"
    assert spec(crm_move_deal).effect == "write"
    assert crm_get_deal.effect(Deal(id=1)) == "read"


def test_the_registry_names_the_nearest_tool() -> None:
    registry = Registry(crm_move_deal, crm_get_deal)
    assert registry.get("crm_get_deal") is crm_get_deal
    assert [tool.name for tool in registry] == ["crm_get_deal", "crm_move_deal"]
    assert [told.name for told in registry.specs()] == ["crm_get_deal", "crm_move_deal"]
    for look_up in (registry.get, registry.spec):
        with pytest.raises(ToolUnknown, match="did you mean 'crm_get_deal'") as caught:
            look_up("crm_get_deals")
        assert caught.value.data == {"nearest": "crm_get_deal"}
    with pytest.raises(ToolUnknown) as caught:
        registry.get("Bash")
    assert caught.value.data == {"nearest": None}


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        Registry(crm_get_deal, crm_get_deal)


class Open(BaseModel):
    id: int


class Nested(Frozen):
    inner: Open


async def Loud(deal: Deal, context: ToolContext) -> None:  # noqa: N802
    """A name for a class."""


async def silent(deal: Deal, context: ToolContext) -> None: ...


def blocking(deal: Deal, context: ToolContext) -> None:
    """It would hold up everybody else."""


async def untyped(deal, context):
    """Nobody knows what it takes."""


async def open_ended(deal: Open, context: ToolContext) -> None:
    """A misspelt argument would be ignored."""


async def open_inside(deal: Nested, context: ToolContext) -> None:
    """A misspelt argument would be ignored, one level down."""


async def lonely(deal: Deal) -> None:
    """No context."""


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (Loud, "name matches"),
        (silent, "docstring"),
        (blocking, "async"),
        (untyped, "pydantic model"),
        (open_ended, "Open of the tool open_ended must forbid"),
        (open_inside, "Open of the tool open_inside must forbid"),
        (lonely, "ToolContext"),
    ],
)
def test_a_function_that_is_no_tool_is_refused(function: Callable[..., Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        tool("read")(function)


def test_a_secret_field_must_be_an_argument() -> None:
    with pytest.raises(TypeError, match="no argument token"):
        tool("read", secret_fields=frozenset({"token"}))(crm_get_deal.call)


def test_a_tool_says_with_which_values_it_only_reads() -> None:
    told = spec(tool(lambda _: "write", reads={"stage": ("open", "new")})(crm_get_deal.call))
    assert told.reads == {"stage": ("open", "new")}
    # Where nothing is given, the default counts, and an expression may be anything.
    assert [told.may_write(given) for given in ({}, {"stage": "won"}, {"stage": "${x}"})] == [
        False,
        True,
        True,
    ]
    with pytest.raises(TypeError, match="no argument satge"):
        tool("write", reads={"satge": ("open",)})(crm_get_deal.call)


def test_a_tool_whose_name_is_too_long_is_refused() -> None:
    async def short(deal: Deal, context: ToolContext) -> None:
        """Fine."""

    short.__name__ = "a" * 65
    with pytest.raises(TypeError, match="name matches"):
        tool("read")(short)


async def test_the_specs_of_this_installation_are_those_of_its_registry() -> None:
    async with open_registry() as registry:
        assert registry.specs() == specs()
    assert [told.name for told in specs() if told.effect == "write"] == ["http_request"]
    assert {"echo", "skill_file"} <= {told.name for told in specs()}
    for told in specs():
        assert told.arguments["additionalProperties"] is False


@pytest.mark.parametrize("value", [None, 0, "", [1, {"a": None}], {"b": 1.5}])
async def test_echo_returns_what_it_was_given(value: Any) -> None:
    async with open_registry() as registry:
        echo = registry.get("echo")
        assert await echo.call(echo.arguments(value=value), CONTEXT) == value


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


async def test_any_closed_pydantic_model_will_do() -> None:
    @tool("read")
    async def ping(arguments: Strict, _: ToolContext) -> str:
        """Answer."""
        return "pong"

    assert await ping.call(Strict(), CONTEXT) == "pong"
