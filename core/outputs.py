"""What the outputs of steps that ask a model look like, as far as their own words tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.draft import Draft
from core.faults import near, quoted

_WAY = re.compile(r"\s*\$\{\s*(steps|item)((?:\s*\.\s*\w+)*)\s*\}\s*\Z", re.ASCII)
# Members may come from elsewhere than `properties`.
_OPEN = ("$ref", "allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas")
_TEXT: dict[str, Any] = {"type": "string"}
MAX_NESTED = 10


@dataclass(frozen=True)
class Outputs:
    steps: Mapping[str, Draft]

    def doubt(self, path: tuple[str, ...], giver: Draft | None) -> str | None:
        """Why nothing will be found at a path that is otherwise allowed to be read.

        `giver` is the step whose `for_each` makes the item.
        """
        root, *way = path
        if root == "steps" and way:
            schema = self._output(way[0])
            return _stranger(schema, f"steps.{way[0]}", way[1:])
        if root == "item" and giver is not None and way:
            return _stranger(self._item(giver, 0), "item", way)
        return None

    def _output(self, name: str) -> Any:
        """The schema of a step's output; None where it is anybody's guess."""
        step = self.steps.get(name)
        if step is None or step.each or step.recovery is not None:
            return None
        return _answer(step)

    def _item(self, giver: Draft, depth: int) -> Any:
        found = _WAY.match(str(giver.fields.get("for_each", "")))
        if found is None or depth > MAX_NESTED:
            return None
        way = [part.strip() for part in found[2].split(".")[1:]]
        if found[1] == "item":
            above = next((step for step in giver.ancestors() if step.each), None)
            schema = self._item(above, depth + 1) if above is not None else None
        else:
            name = way.pop(0) if way else ""
            step = self.steps.get(name)
            if step is not None and step.each and step.recovery is None and not way:
                return _answer(step)
            schema = self._output(name)
        schema = _below(schema, way)
        items = schema.get("items") if isinstance(schema, dict) else None
        return items if isinstance(items, dict) else None


def _answer(step: Draft) -> Any:
    if step.kind in ("classify", "generate"):
        return _TEXT
    if step.kind in ("extract", "reason"):
        return step.fields.get("output_schema", _TEXT)
    return None


def _below(schema: Any, way: list[str]) -> Any:
    for name in way:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        schema = properties.get(name) if isinstance(properties, dict) else None
    return schema


def _stranger(schema: Any, place: str, way: list[str]) -> str | None:
    for name in way:
        if not isinstance(schema, dict) or any(key in schema for key in _OPEN):
            return None
        if schema.get("type") == "string":
            return f"`{place}` is a text, and has no {quoted(name)}"
        properties = schema.get("properties", {})
        if not isinstance(properties, dict) or name not in properties:
            is_closed = schema.get("additionalProperties") is False
            message = f"the schema of `{place}` has no {quoted(name)}"
            return f"{message}{near(name, properties)}" if is_closed else None
        schema = _below(schema, [name])
        place = f"{place}.{name}"
    return None
