"""docs/data.md lists the tools and the tables as they are; `python -m tests.unit.test_docs_data`
writes the tools' part anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import specs

if TYPE_CHECKING:
    from core.tool import ToolSpec

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "data.md"
TOOLS = [tool for tool in specs() if tool.name.startswith("crm_")]
BEGINNING = "## The tools, one by one\n"


def listed() -> str:
    return BEGINNING + "".join(f"\n{section(tool)}" for tool in TOOLS)


def section(tool: ToolSpec) -> str:
    rows = "".join(
        f"| `{name}` | {kind(field)} | {default(name, field, tool)} | {meaning(field)} |\n"
        for name, field in tool.arguments["properties"].items()
    )
    table = f"\n| argument | | default | |\n|---|---|---|---|\n{rows}"
    return f"### {tool.name}\n\n{tool.description}\n{table}"


def kind(field: dict[str, Any]) -> str:
    """As a person would say it; null is the same as leaving it out."""
    for choice in field.get("anyOf", ()):
        if choice.get("type") != "null":
            return kind(choice)
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    if field["type"] == "array":
        return f"list of {kind(field['items'])}"
    if field.get("format") == "date":
        return "date"
    names = {"integer": "whole number", "number": "number", "string": "text"}
    low, high = field.get("minimum"), field.get("maximum")
    if field["type"] == "string" or low is None:
        return names[field["type"]]
    return f"{names[field['type']]}, {low:,.0f} to {high:,.0f}"


def default(name: str, field: dict[str, Any], tool: ToolSpec) -> str:
    if name in tool.arguments.get("required", ()):
        return "required"
    match field.get("default"):
        case None:
            return ""
        case list(values):
            return ", ".join(f"`{value}`" for value in values)
        case value:
            return f"`{value}`"


def meaning(field: dict[str, Any]) -> str:
    return field.get("description", "")


def columns() -> dict[str, set[str]]:
    """Of each table, from the migration; what every table has is told once."""
    script = (ROOT / "store" / "migrations" / "0003_crm.sql").read_text("utf-8")
    tables = re.findall(r"^CREATE TABLE (crm_\w+) \(\n(.*?)^\);", script, re.M | re.S)
    return {name: set(re.findall(r"^    ([a-z_]+) ", body, re.M)) for name, body in tables}


def test_the_page_lists_every_tool_as_it_is() -> None:
    assert len(TOOLS) == 28
    assert PAGE.read_text("utf-8").partition(BEGINNING)[2] == listed().removeprefix(BEGINNING)


def test_every_argument_says_what_it_means() -> None:
    silent = [
        f"{tool.name}.{name}"
        for tool in TOOLS
        for name, field in tool.arguments["properties"].items()
        if not meaning(field)
    ]
    assert silent == []


def test_every_table_and_column_is_told() -> None:
    before = PAGE.read_text("utf-8").partition(BEGINNING)[0]
    told = set(re.findall(r"`([a-z_]+)`", before))
    tables = columns()
    assert len(tables) == 13
    assert tables.keys() - told == set()
    assert {f"{table}.{name}" for table, names in tables.items() for name in names - told} == set()


def main() -> None:
    before = PAGE.read_text("utf-8").partition(BEGINNING)[0]
    PAGE.write_text(before + listed(), "utf-8")


if __name__ == "__main__":
    main()
