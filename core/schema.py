"""JSON Schema (2020-12): fetches nothing, and no schema or pattern can take for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from core.depth import MAX_DEPTH, too_deep
from core.faults import MAX_STRANGERS, near, nearest, quoted
from core.skill import Schema
from core.source import Path

TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
MAX_EXPANDED = 2_000
MAX_PROBLEMS = 20
LONGEST_SHOWN = 60

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "contains", "not", "if", "then", "else"),
    *("propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
_PLAIN = (
    *("type", "enum", "const", "default", "title", "description", "examples", "deprecated"),
    *("readOnly", "writeOnly", "format", "pattern", "minLength", "maxLength", "minimum"),
    *("maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"),
    *("uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"),
    *("required", "dependentRequired", "contentEncoding", "contentMediaType"),
    *("$ref", "$schema", "$comment"),
)
KEYWORDS = frozenset((*_MAPS, *_LISTS, *_SINGLE, *_PLAIN))
# They would give `#` another meaning in a part of the schema.
_REFUSED = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary")
_PATTERNS = RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)


@dataclass(frozen=True)
class Problem:
    """Something wrong at `path`: in a value, or in a schema."""

    path: Path
    message: str
    keyword: str = ""
    severity: str = "error"


def problems(schema: Schema, value: Any) -> list[Problem]:
    """What the schema has against the value."""
    found: list[Problem] = []
    try:
        compiled = _compiled(json.dumps(schema))
    except ValidationError as broken:
        return [Problem((), f"its schema cannot be used: {broken.message}"[:200])]
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        if too_deep(value):
            return [Problem((), f"nested more than {MAX_DEPTH} levels deep")]
        for error in compiled.iter_errors(value):
            found.extend(_explained(error))
            if len(found) >= MAX_PROBLEMS:
                break
    except (ValueError, TypeError, OverflowError, RecursionError):
        # Raised for what JSON cannot hold: other types, broken texts, endless nesting.
        return [Problem((), "no JSON value, or nested too deep")]
    return found


@lru_cache(maxsize=1024)
def _compiled(schema: str) -> Draft202012Validator:
    return Draft202012Validator(
        json.loads(schema), validate_formats=True, offline=True, pattern_options=_PATTERNS
    )


def _explained(error: ValidationError) -> Iterator[Problem]:
    path: Path = tuple(error.instance_path)
    keyword = error.kind.name
    details = error.kind.as_dict()
    if keyword == "required":
        yield Problem((*path, details["property"]), "missing", keyword)
    elif keyword in ("additionalProperties", "unevaluatedProperties"):
        for name in details["unexpected"]:
            yield Problem((*path, name), "unknown", keyword)
    else:
        yield Problem(path, _expectation(keyword, details, error), keyword)


def _expectation(keyword: str, details: dict[str, Any], error: ValidationError) -> str:
    value = error.instance
    match keyword:
        case "type":
            return f"expected {_either(details['types'])}, got {show(value)}"
        case "enum":
            options = details["options"]
            words = [option for option in options if isinstance(option, str)]
            meant = nearest(value, words) if isinstance(value, str) else None
            hint = f"; did you mean {show(meant)}?" if meant is not None else ""
            return f"expected one of {', '.join(map(show, options[:20]))}, got {show(value)}{hint}"
        case "pattern":
            return f"expected a text that matches {quoted(details['pattern'])}, got {show(value)}"
        case "format":
            return f"expected {details['format']}, got {show(value)}"
        case _:
            message = error.message
            return message if len(message) <= 200 else f"{message[:199]}…"


def show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _either(types: list[str]) -> str:
    return " or ".join(types)


def schema_problems(schema: Any) -> list[Problem]:
    """What is wrong with a schema itself, and what its author probably did not mean."""
    walk = _Walk()
    walk.visit(schema, ())
    if not walk.found:
        walk.follow()
    if not any(problem.severity == "error" for problem in walk.found):
        walk.compile(schema)
    return walk.found


@dataclass
class _Walk:
    """Every place where a subschema stands, and the references between them."""

    found: list[Problem] = field(default_factory=list[Problem])
    inner: dict[Path, list[Path]] = field(default_factory=dict[Path, list[Path]])
    references: dict[Path, str] = field(default_factory=dict[Path, str])
    strangers: int = 0

    def visit(self, schema: Any, path: Path) -> None:
        self.inner[path] = []
        if len(self.found) >= MAX_PROBLEMS:
            return
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            expected = "a JSON Schema such as {type: string}"
            self.found.append(Problem(path, f"expected {expected}, got {show(schema)}"))
            return
        for key, value in schema.items():
            if len(self.found) < MAX_PROBLEMS:
                self._keyword(key, value, (*path, key))
        for below, subschema in _subschemas(schema):
            self.inner[path].append((*path, *below))
            self.visit(subschema, (*path, *below))
        if isinstance(schema.get("$ref"), str):
            self.references[path] = schema["$ref"]

    def _keyword(self, key: str, value: Any, path: Path) -> None:
        if key in _REFUSED:
            self.found.append(Problem(path, f"`{key}` is not used here; refer with `#/$defs/…`"))
        elif key == "type":
            for name in value if isinstance(value, list) else [value]:
                if name not in TYPES:
                    hint = near(str(name), TYPES)
                    self.found.append(Problem(path, f"unknown type {show(name)}{hint}"))
        elif key not in KEYWORDS and key[:2] != "x-":
            self._stranger(key, path)

    def _stranger(self, key: str, path: Path) -> None:
        """JSON Schema passes over words it does not know, and with them over slips."""
        self.strangers += 1
        meant = nearest(key, KEYWORDS) if self.strangers <= MAX_STRANGERS else None
        if meant is not None:
            message = f"{quoted(key)} means nothing in JSON Schema; did you mean `{meant}`?"
            self.found.append(Problem(path, message, severity="warning"))

    def follow(self) -> None:
        """Refuses references to elsewhere, and those that would multiply the work without end."""
        targets = {_pointer(path): path for path in self.inner}
        for path, reference in self.references.items():
            here = (*path, "$ref")
            if not reference.startswith("#"):
                message = (
                    f"{quoted(reference)}: only references inside this schema (`#/…`) are followed"
                )
                self.found.append(Problem(here, message))
            elif reference not in targets:
                message = f"{quoted(reference)} leads to no schema{near(reference, targets)}"
                self.found.append(Problem(here, message))
            else:
                self.inner[path].append(targets[reference])
        if not self.found:
            self._measure()

    def _measure(self) -> None:
        sizes: dict[Path, int] = {}
        open_paths: set[Path] = set()

        def size(path: Path) -> int:
            if path in sizes:
                return sizes[path]
            if path in open_paths:
                raise _Endless(path)
            open_paths.add(path)
            sizes[path] = 1 + sum(size(below) for below in self.inner[path])
            open_paths.discard(path)
            return sizes[path]

        try:
            if size(()) > MAX_EXPANDED:
                message = f"more than {MAX_EXPANDED:,} parts once its references are followed"
                self.found.append(Problem((), message))
        except (_Endless, RecursionError):
            self.found.append(Problem((), "refers to itself; a schema here has an end"))

    def compile(self, schema: Any) -> None:
        try:
            _compiled(json.dumps(schema))
        except ValidationError as error:
            path: Path = tuple(error.instance_path)
            if path and path[-1] == "pattern":
                message = "no regular expression, or one with look-around or back-references"
            else:
                message = next(_explained(error)).message
            self.found.append(Problem(path, message))
        except (ValueError, RecursionError) as error:
            self.found.append(Problem((), f"not a JSON Schema: {error}"[:200]))


class _Endless(Exception):
    pass


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    for key in _MAPS:
        if isinstance(schema.get(key), dict):
            yield from (((key, name), each) for name, each in schema[key].items())
    for key in _LISTS:
        if isinstance(schema.get(key), list):
            yield from (((key, position), each) for position, each in enumerate(schema[key]))
    yield from (((key,), schema[key]) for key in _SINGLE if key in schema)


def _pointer(path: Path) -> str:
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "#" + "".join(f"/{part}" for part in parts)
