"""Fills any JSON Schema from what a text says."""

from __future__ import annotations

import re
from typing import Any

from llm.demo.facts import NUMBER, Facts, of, words

LONGEST_TEXT = 200
MOST_ITEMS = 20
DEEPEST = 12
FORMATS = {
    "date": (re.compile(r"\d{4}-\d{2}-\d{2}"), "2026-01-01"),
    "date-time": (re.compile(r"\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2})"), None),
    "time": (re.compile(r"\d{2}:\d{2}:\d{2}Z"), "00:00:00Z"),
    "email": (re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+\w"), "nobody@example.com"),
    "uri": (re.compile(r"https?://[^\s\"'<>)]+"), "https://example.com/"),
    "uuid": (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), None),
}
OTHERWISE = {
    "date-time": "2026-01-01T00:00:00Z",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
Schema = dict[str, Any]


def fill(schema: Schema, facts: Facts) -> Any:
    return _Filling(schema).value(schema, facts, "", 0)


class _Filling:
    def __init__(self, root: Schema) -> None:
        self._root = root

    def value(self, schema: Any, facts: Facts, name: str, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > DEEPEST:
            return facts.find(name) if name else facts.sentence
        schema = self._followed(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return _option(schema, facts, name)
        for union in ("anyOf", "oneOf"):
            if schema.get(union):
                return self._either(schema[union], facts, name, depth)
        return self._typed(schema, facts, name, depth)

    def _followed(self, schema: Schema) -> Schema:
        """References of this schema replaced; allOf is one schema."""
        for _ in range(DEEPEST):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            target: Any = self._root
            for part in reference.removeprefix("#").strip("/").split("/"):
                target = target.get(part, {}) if part else target
            schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
        for part in schema.get("allOf") or ():
            inner = self._followed(part)
            properties = {**schema.get("properties", {}), **inner.get("properties", {})}
            schema = {**inner, **schema, "properties": properties}
        return schema

    def _either(self, branches: list[Any], facts: Facts, name: str, depth: int) -> Any:
        null = any(branch.get("type") == "null" for branch in branches)
        if null and facts.find(name) is None:
            return None
        real = [branch for branch in branches if branch.get("type") != "null"]
        return self.value(real[0], facts, name, depth + 1)

    def _typed(self, schema: Schema, facts: Facts, name: str, depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            if "null" in kind and facts.find(name) is None:
                return None
            kind = next((each for each in kind if each != "null"), "null")
        kind = kind or ("object" if "properties" in schema else "string")
        if kind == "object":
            return self._object(schema, facts, name, depth)
        if kind == "array":
            return self._array(schema, facts, name, depth)
        if kind in ("integer", "number"):
            return _number(schema, facts, name, kind)
        if kind == "boolean":
            return _boolean(schema, facts, name)
        return None if kind == "null" else _string(schema, facts, name)

    def _object(self, schema: Schema, facts: Facts, name: str, depth: int) -> Any:
        own = facts.find(name) if name else None
        inner = of(own) if isinstance(own, dict) else facts
        required = schema.get("required") or []
        return {
            key: self.value(below, inner, key, depth + 1)
            for key, below in (schema.get("properties") or {}).items()
            if key in required or inner.find(key) is not None
        }

    def _array(self, schema: Schema, facts: Facts, name: str, depth: int) -> Any:
        fewest = schema.get("minItems", 0)
        most = min(schema.get("maxItems", MOST_ITEMS), MOST_ITEMS)
        items = schema.get("items") or {}
        found = facts.items(name) or []
        filled = [self.value(items, of(each), "", depth + 1) for each in found[:most]]
        while len(filled) < fewest:
            filled.append(self.value(items, facts, name, depth + 1))
        if schema.get("uniqueItems"):
            filled = [each for n, each in enumerate(filled) if each not in filled[:n]]
        return filled


def _option(schema: Schema, facts: Facts, name: str) -> Any:
    options = schema["enum"]
    stated = facts.find(name)
    if stated in options:
        return stated
    text = facts.text.lower()
    said = [each for each in options if isinstance(each, str) and each.lower() in text]
    if said:
        return min(said, key=lambda each: text.index(each.lower()))
    return schema["default"] if schema.get("default") in options else options[0]


def _number(schema: Schema, facts: Facts, name: str, kind: str) -> float | int:
    found = facts.find(name)
    value: Any = schema.get("default")
    if isinstance(found, int | float) and not isinstance(found, bool):
        value = found
    elif isinstance(found, str) and (match := NUMBER.search(found)):
        value = float(match[0].replace(",", ""))
    elif isinstance(found, list):
        value = len(found)
    elif value is None and {"count", "total"} & words(name) and facts.items(name):
        value = len(facts.items(name) or [])
    if value is None:
        value = facts.number or 0
    return _within(schema, value, kind)


def _within(schema: Schema, value: float, kind: str) -> float | int:
    step = schema.get("multipleOf") or (1 if kind == "integer" else None)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and value < low + ("exclusiveMinimum" in schema):
        value = low + ("exclusiveMinimum" in schema)
    if high is not None and value > high - ("exclusiveMaximum" in schema):
        value = high - ("exclusiveMaximum" in schema)
    if step:
        value = round(value / step) * step
    return int(value) if kind == "integer" else value


def _boolean(schema: Schema, facts: Facts, name: str) -> bool:
    found = facts.find(name)
    if isinstance(found, bool):
        return found
    if isinstance(found, str):
        return found.strip().lower() in ("true", "yes", "y", "1")
    return bool(schema.get("default", False)) or words(name) <= words(facts.text)


def _string(schema: Schema, facts: Facts, name: str) -> str:
    form = schema.get("format")
    found = facts.find(name)
    if found is None and "default" in schema:
        return schema["default"]
    if isinstance(found, dict | list) and found:
        found = ", ".join(short(each) for each in list(found)[:5])
    text = facts.sentence if found is None else str(found)
    if form in FORMATS:
        pattern, otherwise = FORMATS[form]
        match = pattern.search(text) or pattern.search(facts.text)
        return match[0] if match else otherwise or OTHERWISE[form]
    if pattern := schema.get("pattern"):
        match = _searched(pattern, text) or _searched(pattern.strip("^$"), facts.text)
        text = match[0] if match else text
    text = text[: min(schema.get("maxLength", LONGEST_TEXT), LONGEST_TEXT)]
    return text.ljust(schema.get("minLength", 0), ".")


def _searched(pattern: str, text: str) -> re.Match[str] | None:
    try:
        return re.search(pattern, text[:10_000])
    except re.error:
        return None


def short(value: Any) -> str:
    if isinstance(value, dict):
        named = next((value[key] for key in ("name", "title", "id") if key in value), None)
        return str(named if named is not None else next(iter(value.values()), ""))
    return str(value)
