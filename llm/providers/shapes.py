"""JSON of a wanted shape: what providers enforce of a schema, and how their answer is read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

FENCE = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL)
ENFORCED = frozenset(
    (
        *("type", "properties", "required", "items", "enum", "const", "anyOf", "$ref"),
        *("$defs", "description", "title"),
    )
)
FORMATS = frozenset(
    (
        *("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4"),
        *("ipv6", "uuid"),
    )
)
# Said to the model in words; whoever asked checks them.
TOLD = frozenset(
    (
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems"),
        *("default", "examples", "format"),
    )
)
PASSED_OVER = frozenset(("$schema", "$comment", "additionalProperties", "deprecated", "readOnly"))
WRAPPED = "value"


class _NotEnforceable(Exception):
    pass


@dataclass(frozen=True)
class Shape:
    """`enforced` is None where no provider can hold a model to it: it stands in the prompt."""

    wanted: Schema
    enforced: Schema | None
    wrapped: bool

    @property
    def asked(self) -> Schema:
        """The whole schema, with the wrapping that the answer has to have."""
        return _wrap(self.wanted) if self.wrapped else self.wanted

    def read(self, text: str) -> str:
        """The JSON alone, without fences, nulls that stand for nothing, and our wrapping."""
        found = _json_in(text)
        if found is None:
            return text
        value = found[0]
        if self.wrapped and isinstance(value, dict) and set(value) == {WRAPPED}:
            value = value[WRAPPED]
        return json.dumps(_without_nulls(value, self.wanted, self.wanted), ensure_ascii=False)


def closed(schema: Schema) -> Shape:
    """Objects without further properties; optional ones may be absent."""
    return _shape(schema, nullable=False)


def strict(schema: Schema) -> Shape:
    """As `closed`, and every property required: what is optional may be null."""
    return _shape(schema, nullable=True)


def _shape(schema: Schema, *, nullable: bool) -> Shape:
    wrapped = schema.get("type") != "object"
    root = _wrap(schema) if wrapped else schema
    try:
        enforced = _Narrowing(nullable=nullable).schema(root)
    except _NotEnforceable:
        enforced = None
    return Shape(schema, enforced, wrapped)


def _wrap(schema: Schema) -> Schema:
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    wrapping = {"type": "object", "properties": {WRAPPED: inner}, "required": [WRAPPED]}
    return {**wrapping, "$defs": schema["$defs"]} if "$defs" in schema else wrapping


class _Narrowing:
    def __init__(self, *, nullable: bool) -> None:
        self._nullable = nullable

    def schema(self, schema: Any) -> Schema:
        if not isinstance(schema, dict):
            raise _NotEnforceable
        if "oneOf" in schema:
            schema = {**schema, "anyOf": schema["oneOf"]}
            del schema["oneOf"]
        unknown = set(schema) - ENFORCED - TOLD - PASSED_OVER
        if unknown or not schema.get("$ref", "#/$defs/").startswith("#/$defs/"):
            raise _NotEnforceable
        narrow = {key: schema[key] for key in schema if key in ENFORCED}
        if schema.get("format") in FORMATS:
            narrow["format"] = schema["format"]
        self._inner(schema, narrow)
        return _told(schema, narrow)

    def _inner(self, schema: Schema, narrow: Schema) -> None:
        if "$defs" in narrow:
            narrow["$defs"] = {name: self.schema(each) for name, each in schema["$defs"].items()}
        if "anyOf" in narrow:
            narrow["anyOf"] = [self.schema(each) for each in schema["anyOf"]]
        if "items" in narrow:
            narrow["items"] = self.schema(schema["items"])
        kind = schema.get("type")
        if kind == "object" or (isinstance(kind, list) and "object" in kind):
            self._object(schema, narrow)
        elif kind is None and not {"enum", "const", "anyOf", "$ref"} & set(schema):
            raise _NotEnforceable

    def _object(self, schema: Schema, narrow: Schema) -> None:
        properties = schema.get("properties")
        if not properties or schema.get("additionalProperties"):
            raise _NotEnforceable  # any object at all, which no closed schema says
        required = list(schema.get("required") or [])
        narrow["properties"] = {
            name: self.schema(each)
            if name in required or not self._nullable
            else _or_null(self.schema(each))
            for name, each in properties.items()
        }
        narrow["required"] = list(properties) if self._nullable else required
        narrow["additionalProperties"] = False


def _or_null(schema: Schema) -> Schema:
    if allows_null(schema):
        return schema
    described = {key: schema[key] for key in ("description", "title") if key in schema}
    rest = {key: schema[key] for key in schema if key not in described}
    return {"anyOf": [rest, {"type": "null"}], **described}


def allows_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return True
    kind = schema.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind):
        return True
    if "const" in schema:
        return schema["const"] is None
    if "enum" in schema:
        return None in schema["enum"]
    branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return any(allows_null(each) for each in branches) or not (kind or branches or "$ref" in schema)


def _told(schema: Schema, narrow: Schema) -> Schema:
    told = {key: schema[key] for key in schema if key in TOLD and key not in narrow}
    if told and "$ref" not in narrow:
        words = ", ".join(f"{key}: {json.dumps(value)}" for key, value in told.items())
        before = f"{narrow['description']} " if narrow.get("description") else ""
        narrow["description"] = f"{before}({words})"
    return narrow


def _json_in(text: str) -> tuple[Any] | None:
    """In a tuple, since `null` is a value too."""
    for candidate in (text, *(match[1] for match in FENCE.finditer(text))):
        try:
            return (json.loads(candidate),)
        except (ValueError, RecursionError):
            continue
    return None


def _without_nulls(value: Any, schema: Any, root: Schema) -> Any:
    schema = _followed(schema, root)
    if isinstance(value, list):
        return [_without_nulls(each, schema.get("items"), root) for each in value]
    if not isinstance(value, dict):
        return value
    properties = _properties(schema, root)
    required = schema.get("required") or ()
    kept: dict[str, Any] = {}
    for name, each in value.items():
        own = properties.get(name)
        optional = own is not None and name not in required
        if each is None and optional and not allows_null(_followed(own, root)):
            continue
        kept[name] = _without_nulls(each, own, root)
    return kept


def _properties(schema: Schema, root: Schema) -> Schema:
    """Of the schema itself, or of the one object among its branches."""
    if "properties" in schema:
        return schema["properties"]
    branches = [
        _followed(each, root) for each in (schema.get("anyOf") or schema.get("oneOf") or ())
    ]
    objects = [each["properties"] for each in branches if "properties" in each]
    return objects[0] if len(objects) == 1 else {}


def _followed(schema: Any, root: Schema) -> Schema:
    for _ in range(20):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            break
        schema = root
        for part in reference.lstrip("#").strip("/").split("/"):
            schema = schema.get(part, {}) if part and isinstance(schema, dict) else schema
    return schema if isinstance(schema, dict) else {}
