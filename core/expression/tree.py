"""What the parser makes: every node knows where it stands in the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any
    position: int


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Select:
    target: Node
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Index:
    """`outside` says what an index beyond a list is: `list[?i]` is null there."""

    target: Node
    key: Node
    outside: Literal["fault", "null"]
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    target: Node | None
    name: str
    arguments: tuple[Node, ...]
    position: int


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Node, ...]
    position: int


@dataclass(frozen=True, slots=True)
class MapOf:
    entries: tuple[tuple[Node, Node], ...]
    position: int


@dataclass(frozen=True, slots=True)
class Prefix:
    """`!` or `-`, written `times` times in a row."""

    sign: str
    times: int
    operand: Node
    position: int


@dataclass(frozen=True, slots=True)
class Operation:
    sign: str
    operand: Node
    position: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one precedence, left to right: a long chain is no deeper than a short one."""

    first: Node
    rest: tuple[Operation, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Logic:
    sign: Literal["&&", "||"]
    terms: tuple[Node, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Conditional:
    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node
    position: int


Node = (
    Constant | Name | Select | Index | Call | ListOf | MapOf | Prefix | Chain | Logic | Conditional
)
