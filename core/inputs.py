"""What a run is given: defaults applied, faults named field by field."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from core.errors import FieldFault, InvalidInputs
from core.faults import near, quoted, strangers
from core.schema import Problem, problems
from core.skill import Schema
from core.source import Path


def settle(flow_inputs: Mapping[str, Schema], given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs a run sees, in the order of the flow; raises InvalidInputs."""
    faults = [
        FieldFault(
            field=field_name((name,)), message=f"unknown input{near(str(name), flow_inputs)}"
        )
        for name in strangers(given, flow_inputs)
    ]
    settled = {}
    for name, schema in flow_inputs.items():
        if name in given:
            settled[name] = given[name]
            faults.extend(_told(name, problem) for problem in input_problems(schema, given[name]))
        elif "default" in schema:
            settled[name] = deepcopy(schema["default"])
        elif is_required(schema):
            faults.append(FieldFault(field=field_name((name,)), message=_missing(schema)))
    if faults:
        count = "" if len(faults) == 1 else f" (and {len(faults) - 1} more)"
        raise InvalidInputs(f"{faults[0].field}: {faults[0].message}{count}", faults)
    return settled


def input_problems(schema: Schema, value: Any) -> list[Problem]:
    return problems(json_schema(schema), value)


def json_schema(schema: Schema) -> Schema:
    """Without our own `required: true | false`, which JSON Schema does not know."""
    if isinstance(schema.get("required"), bool):
        return {key: value for key, value in schema.items() if key != "required"}
    return schema


def is_required(schema: Schema) -> bool:
    return "default" not in schema and schema.get("required") is not False


def field_name(path: Path) -> str:
    """`inputs.deals[3].amount`."""
    steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return quoted("inputs" + "".join(steps)).strip("`")


def _told(name: str, problem: Problem) -> FieldFault:
    return FieldFault(field=field_name((name, *problem.path)), message=problem.message)


def _missing(schema: Schema) -> str:
    kind = schema.get("type")
    wanted = f"; expected {kind}" if isinstance(kind, str) else ""
    return f"required, but missing{wanted}"
