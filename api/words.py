"""What was expected, in words that need no knowledge of how we read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

from core.faults import nearest

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

QUOTED = re.compile(r"'([^']+)'")
KINDS = {
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a JSON object"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "text",
    "string_pattern_mismatch": "another form",
    "int_parsing_size": "a smaller number",
    "finite_number": "a finite number",
    "none_required": "null",
}
BOUNDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda told: f"more than {told['gt']}",
    "greater_than_equal": lambda told: f"at least {told['ge']}",
    "less_than": lambda told: f"less than {told['lt']}",
    "less_than_equal": lambda told: f"at most {told['le']}",
    "too_short": lambda told: f"at least {_several(told['min_length'], 'value')}",
    "too_long": lambda told: f"at most {_several(told['max_length'], 'value')}",
    "string_too_short": lambda told: f"at least {_several(told['min_length'], 'character')}",
    "string_too_long": lambda told: f"at most {_several(told['max_length'], 'character')}",
}


@dataclass(frozen=True)
class Form:
    """Text of one form: the OpenAPI page shows `pattern`, and a refusal says `words`."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._fitting, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(schema) | {"pattern": self.pattern}

    def _fitting(self, text: str) -> str:
        # `$` alone would let a newline pass.
        if not re.fullmatch(self.pattern, text) or text.endswith("\n"):
            raise ValueError(f"expected {self.words}")
        return text


def refusal(fault: Mapping[str, Any]) -> str:
    """One of pydantic's faults, as a sentence about what was expected."""
    kind, told = fault["type"], fault.get("ctx", {})
    if kind in KINDS:
        return f"expected {KINDS[kind]}"
    if kind in BOUNDS:
        return f"expected {BOUNDS[kind](told)}"
    match kind:
        case "missing" | "union_tag_not_found":
            return "expected a value, it is required"
        case "literal_error":
            return _one_of(str(told["expected"]), fault["input"])
        case "union_tag_invalid":
            return _one_of(str(told["expected_tags"]), told["tag"])
        case _:
            return str(fault["msg"]).removeprefix("Value error, ")


def _one_of(expected: str, given: Any) -> str:
    meant = nearest(str(given), QUOTED.findall(expected))
    return f"expected {expected}" + (f"; did you mean `{meant}`?" if meant else "")


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
