"""JSON values whose strings hold `${…}`; what an expression yields is never evaluated again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.expression import (
    Expression,
    ExpressionFault,
    Meter,
    Reference,
    as_text,
    closing_brace,
    compile_expression,
    text_cost,
    weigh,
)
from core.model import Frozen

MAX_TEXT = 100_000
MAX_EXPRESSIONS = 1_000
MAX_DEPTH = 50
HIDDEN = "***"

_SECRET = re.compile(r"\s*secret\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)\s*")


class SecretPart(Frozen):
    secret: str


class SecretUse(Frozen):
    """A string of the value that needs secrets: `pointer` (RFC 6901) says where it stands."""

    pointer: str
    parts: tuple[str | SecretPart, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    value: Any
    secrets: tuple[SecretUse, ...]


class TemplateFault(Exception):
    """An expression that does not compile; its position counts in the string at `pointer`."""

    def __init__(self, pointer: str, fault: ExpressionFault) -> None:
        super().__init__(f"{pointer or 'the value'}: {fault}")
        self.pointer = pointer
        self.fault = fault


@dataclass(frozen=True, slots=True)
class _Text:
    parts: tuple[str | SecretPart | Expression, ...]
    pointer: str


@dataclass(frozen=True, slots=True)
class _Whole:
    expression: Expression


@dataclass(frozen=True, slots=True)
class _Items:
    items: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class _Members:
    members: dict[Any, _Part]


@dataclass(frozen=True, slots=True)
class _Constant:
    value: Any


_Part = _Text | _Whole | _Items | _Members | _Constant


class Template:
    """Parts without expressions are handed out as they are: nobody may change a rendered value."""

    __slots__ = ("_part", "constant", "references", "secrets")

    def __init__(
        self, part: _Part, references: tuple[Reference, ...], secrets: tuple[str, ...]
    ) -> None:
        self._part = part
        self.references = references
        self.secrets = secrets
        self.constant = isinstance(part, _Constant)

    def render(self, scope: Mapping[str, Any], meter: Meter) -> Rendered:
        if isinstance(self._part, _Constant):
            return Rendered(self._part.value, ())
        rendering = _Rendering(scope, meter)
        value = rendering.of(self._part)
        return Rendered(value, tuple(rendering.secrets))


def compile_template(value: Any) -> Template:
    """Raises TemplateFault."""
    compiling = _Compiling()
    part = compiling.of(value, "", 0)
    return Template(part, tuple(compiling.references), tuple(dict.fromkeys(compiling.secrets)))


class _Compiling:
    def __init__(self) -> None:
        self.references: list[Reference] = []
        self.secrets: list[str] = []
        self.expressions = 0

    def of(self, value: Any, pointer: str, depth: int) -> _Part:
        if depth > MAX_DEPTH:
            raise _fault(pointer, f"values are nested more than {MAX_DEPTH} levels deep", None)
        if isinstance(value, str):
            return self.text(value, pointer) if "${" in value else _Constant(value)
        if isinstance(value, list):
            return self.items(value, pointer, depth)
        if isinstance(value, dict):
            return self.members(value, pointer, depth)
        return _Constant(value)

    def items(self, value: list[Any], pointer: str, depth: int) -> _Part:
        items = [self.of(item, f"{pointer}/{at}", depth + 1) for at, item in enumerate(value)]
        constants = [item.value for item in items if isinstance(item, _Constant)]
        return _Constant(constants) if len(constants) == len(items) else _Items(tuple(items))

    def members(self, value: dict[Any, Any], pointer: str, depth: int) -> _Part:
        members = {
            key: self.of(item, f"{pointer}/{_escaped(key)}", depth + 1)
            for key, item in value.items()
        }
        constants = {
            key: part.value for key, part in members.items() if isinstance(part, _Constant)
        }
        return _Constant(constants) if len(constants) == len(members) else _Members(members)

    def text(self, text: str, pointer: str) -> _Part:
        if len(text) > MAX_TEXT:
            raise _fault(pointer, f"a text has at most {MAX_TEXT:,} characters", MAX_TEXT)
        parts: list[str | SecretPart | Expression] = []
        literal: list[str] = []
        start = 0
        while (at := text.find("${", start)) >= 0:
            if at > start and text[at - 1] == "$":
                literal += (text[start : at - 1], "${")
                start = at + 2
                continue
            literal.append(text[start:at])
            part, end = self.expression(text, at, pointer)
            parts += ("".join(literal), part)
            literal, start = [], end
        literal.append(text[start:])
        parts.append("".join(literal))
        parts = [part for part in parts if part]
        match parts:
            case [str() as only]:
                return _Constant(only)
            case [Expression() as only]:
                return _Whole(only)
            case _:
                return _Text(tuple(parts), pointer)

    def expression(self, text: str, at: int, pointer: str) -> tuple[SecretPart | Expression, int]:
        """The part that begins with `${` at `at`, and where the text goes on."""
        self.expressions += 1
        if self.expressions > MAX_EXPRESSIONS:
            raise _fault(pointer, f"there are more than {MAX_EXPRESSIONS:,} expressions", at)
        inside = at + 2
        try:
            end = closing_brace(text, inside)
        except ExpressionFault as fault:
            raise TemplateFault(pointer, fault) from fault
        source = text[inside:end]
        secret = _SECRET.fullmatch(source)
        if secret:
            self.secrets.append(secret[1])
            return SecretPart(secret=secret[1]), end + 1
        try:
            expression = compile_expression(source)
        except ExpressionFault as fault:
            raise _fault(
                pointer,
                fault.message,
                None if fault.position is None else fault.position + inside,
            ) from fault
        self.references += [
            replace(read, position=read.position + inside, pointer=pointer)
            for read in expression.references
        ]
        return expression, end + 1


class _Rendering:
    def __init__(self, scope: Mapping[str, Any], meter: Meter) -> None:
        self._scope = scope
        self._meter = meter
        self._whole_values = 0
        self.secrets: list[SecretUse] = []

    def of(self, part: _Part) -> Any:
        match part:
            case _Constant():
                return part.value
            case _Whole():
                return self.whole(part.expression)
            case _Text():
                return self.text(part)
            case _Items():
                self._meter.charge(len(part.items))
                return [self.of(item) for item in part.items]
            case _Members():
                self._meter.charge(len(part.members))
                return {key: self.of(item) for key, item in part.members.items()}

    def whole(self, expression: Expression) -> Any:
        value = self.value(expression)
        if type(value) is list or type(value) is dict:
            # One large value a thousand times over would fit in memory, but not written out.
            self._whole_values += 1
            if self._whole_values > 1:
                weigh(value, self._meter)
        return value

    def text(self, text: _Text) -> str:
        shown: list[str] = []
        parts: list[str | SecretPart] = []
        literal = 0
        for part in text.parts:
            if isinstance(part, SecretPart):
                parts += ("".join(shown[literal:]), part)
                shown.append(HIDDEN)
                literal = len(shown)
            elif isinstance(part, str):
                self._meter.charge(text_cost(part))
                shown.append(part)
            else:
                shown.append(as_text(self.value(part), self._meter))
        if parts:
            parts.append("".join(shown[literal:]))
            kept = tuple([part for part in parts if part])
            self.secrets.append(SecretUse(pointer=text.pointer, parts=kept))
        return "".join(shown)

    def value(self, expression: Expression) -> Any:
        try:
            return expression(self._scope, self._meter)
        except ExpressionFault as fault:
            source = expression.source if len(expression.source) <= 80 else ""
            where = f" in ${{{source}}}" if source else ""
            raise ExpressionFault(fault.message + where, fault.position, fault.kind) from fault


def _fault(pointer: str, message: str, position: int | None) -> TemplateFault:
    return TemplateFault(pointer, ExpressionFault(message, position, "syntax"))


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
