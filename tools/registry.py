from __future__ import annotations

import difflib
import inspect
import re
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from pydantic import BaseModel

from core.errors import ToolUnknown
from core.tool import Effect, Tool, ToolContext, ToolName, ToolSpec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
DEFAULT_TIMEOUT = timedelta(seconds=60)

A = TypeVar("A", bound=BaseModel)


def tool(
    effect: Effect | Callable[[Any], Effect],
    *,
    timeout: timedelta = DEFAULT_TIMEOUT,
    secret_fields: frozenset[str] = frozenset(),
    reads: Mapping[str, tuple[str, ...]] | None = None,
) -> Callable[[Callable[[A, ToolContext], Awaitable[Any]]], Tool]:
    """Makes a tool of an async function; its name, docstring and first parameter say the rest.

    An effect that depends on the input counts as `write` wherever the input is not known yet,
    unless `reads` names the values of an argument with which the tool only reads.
    """

    effect_of: Callable[[Any], Effect]
    static_effect: Effect
    if callable(effect):
        effect_of, static_effect = effect, "write"
    else:
        effect_of, static_effect = (lambda _: static_effect), effect

    def declare(function: Callable[[A, ToolContext], Awaitable[Any]]) -> Tool:
        name = getattr(function, "__name__", "")
        if not NAME.fullmatch(name):
            raise TypeError(f"a tool's name matches {NAME.pattern}, {name!r} does not")
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"the tool {name} must be an async function")
        if not (description := inspect.getdoc(function)):
            raise TypeError(f"the tool {name} needs a docstring: it is what its callers read")
        arguments = _arguments_of(function, name)
        named = secret_fields | (reads or {}).keys()
        unknown = named - arguments.model_json_schema()["properties"].keys()
        if unknown:
            raise TypeError(f"the tool {name} has no argument {', '.join(sorted(unknown))}")

        @wraps(function)
        async def call(arguments: A, context: ToolContext) -> Any:
            answer = await function(arguments, context)
            return answer.model_dump(mode="json") if isinstance(answer, BaseModel) else answer

        return Tool(
            name=ToolName(name),
            description=description,
            arguments=arguments,
            call=call,
            effect=effect_of,
            static_effect=static_effect,
            timeout=timeout,
            secret_fields=secret_fields,
            reads=reads or {},
        )

    return declare


def spec(tool: Tool) -> ToolSpec:
    return ToolSpec(
        name=tool.name,
        description=tool.description,
        arguments=tool.arguments.model_json_schema(),
        effect=tool.static_effect,
        timeout=tool.timeout.total_seconds(),
        secret_fields=tuple(sorted(tool.secret_fields)),
        own=tool.own,
        reads=dict(tool.reads),
    )


class Registry:
    """The tools of this installation: compute steps call them, models are offered them."""

    def __init__(self, *tools: Tool) -> None:
        self._tools = {tool.name: tool for tool in sorted(tools, key=lambda tool: tool.name)}
        if len(self._tools) < len(tools):
            raise ValueError("two tools have the same name")
        self._specs = {name: spec(tool) for name, tool in self._tools.items()}

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def get(self, name: str) -> Tool:
        return self._tools[self._known(name)]

    def spec(self, name: str) -> ToolSpec:
        return self._specs[self._known(name)]

    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(self._specs.values())

    def _known(self, name: str) -> ToolName:
        if name in self._tools:
            return ToolName(name)
        nearest = next(iter(difflib.get_close_matches(name, self._tools, n=1)), None)
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        raise ToolUnknown(f"there is no tool {name[:80]!r}{hint}", nearest=nearest)


def _arguments_of(function: Callable[..., Any], name: str) -> type[BaseModel]:
    """Only closed inputs are accepted, so that a misspelt argument is a fault, not a default."""
    hints = get_type_hints(function)
    types = [hints.get(parameter) for parameter in inspect.signature(function).parameters]
    match types:
        case [type() as arguments, second] if second is ToolContext:
            pass
        case _:
            raise TypeError(f"the tool {name} takes (arguments: a pydantic model, ToolContext)")
    if not issubclass(arguments, BaseModel):
        raise TypeError(f"the first parameter of the tool {name} must be a pydantic model")
    schema = arguments.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("type") == "object" and part.get("additionalProperties") is not False:
            raise TypeError(f"{part['title']} of the tool {name} must forbid unknown fields")
    return arguments
