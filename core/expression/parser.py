from __future__ import annotations

import math
from collections.abc import Callable

from core.expression.fault import ExpressionFault, syntax_fault
from core.expression.lexer import MAX_SOURCE, Token, text_value, tokens
from core.expression.tree import (
    Call,
    Chain,
    Conditional,
    Constant,
    Index,
    ListOf,
    Logic,
    MapOf,
    Name,
    Node,
    Operation,
    Prefix,
    Select,
)
from core.expression.values import MAX_INT, MIN_INT

MAX_NESTING = 24

LITERALS = {"true": True, "false": False, "null": None}
RESERVED = frozenset(
    (
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import"),
        *("in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void"),
        "while",
    )
)
# From the loosest to the tightest.
_OPERATORS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"), "+-", "*/%")
_PRECEDENCE = {sign: level for level, signs in enumerate(_OPERATORS, 1) for sign in signs}


def parse(source: str) -> Node:
    if len(source) > MAX_SOURCE:
        raise syntax_fault(f"an expression has at most {MAX_SOURCE:,} characters", MAX_SOURCE)
    return _Parser(source).whole()


class _Parser:
    """Recursive only in brackets, which are counted; everything else is a loop."""

    def __init__(self, source: str) -> None:
        self.tokens = list(tokens(source))
        self.at = 0
        self.next = self.tokens[0]
        self.nesting = 0

    def whole(self) -> Node:
        node = self.expression()
        if self.next.kind != "end":
            raise self.unexpected()
        return node

    def take(self) -> Token:
        token = self.next
        if token.kind != "end":
            self.at += 1
            self.next = self.tokens[self.at]
        return token

    def took(self, symbol: str) -> bool:
        # A text token holds its quotes, so it never equals a symbol.
        if self.next.text != symbol:
            return False
        self.take()
        return True

    def expect(self, symbol: str) -> None:
        if not self.took(symbol):
            raise self.unexpected(f'"{symbol}" is missing')

    def unexpected(self, wanted: str = "", token: Token | None = None) -> ExpressionFault:
        token = token or self.next
        if token.kind == "end":
            found = "the expression ends too early" if self.at else "there is no expression"
        else:
            found = f'"{token.text[:40]}" is not expected here'
        return syntax_fault(f"{found}: {wanted}" if wanted else found, token.position)

    def expression(self) -> Node:
        node = self.binary(1)
        if self.next.text != "?":
            return node
        position = self.next.position
        branches: list[tuple[Node, Node]] = []
        while self.took("?"):
            chosen = self.binary(1)
            self.expect(":")
            branches.append((node, chosen))
            node = self.binary(1)
        return Conditional(tuple(branches), node, position)

    def binary(self, least: int) -> Node:
        """Precedence climbing: operators that bind less tightly are left to the caller."""
        node = self.prefixed()
        while (level := _PRECEDENCE.get(self.next.text, 0)) >= least:
            rest: list[Operation] = []
            while _PRECEDENCE.get(self.next.text) == level:
                sign = self.take()
                rest.append(Operation(sign.text, self.binary(level + 1), sign.position))
            node = _joined(node, tuple(rest))
        return node

    def prefixed(self) -> Node:
        sign, times = self.next, 0
        while sign.text in ("!", "-") and self.took(sign.text):
            times += 1
        if sign.text == "-" and self.next.kind == "int":
            # The smallest whole number exists only with its sign.
            times -= 1
            node = self.member(_whole_number(self.take(), "-"))
        else:
            node = self.member(self.primary())
        return Prefix(sign.text, times, node, sign.position) if times else node

    def member(self, node: Node) -> Node:
        while True:
            token = self.next
            if token.text in (".", ".?"):
                self.take()
                node = self.selected(node, token)
            elif token.text in ("[", "[?"):
                self.take()
                outside = "fault" if token.text == "[" else "null"
                node = Index(node, self.single(token, "]"), outside, token.position)
            else:
                return node

    def selected(self, target: Node, dot: Token) -> Node:
        # Any word may stand after a dot: data has members called `in` and `package`.
        if self.next.kind != "word":
            raise self.unexpected("a name follows a dot")
        name = self.take()
        if dot.text == "." and self.next.text == "(":
            return Call(target, name.text, self.arguments(), name.position)
        return Select(target, name.text, name.position)

    def primary(self) -> Node:
        token = self.take()
        if token.kind == "word":
            return self.word(token)
        if token.kind in _LITERAL_KINDS:
            return _LITERAL_KINDS[token.kind](token)
        match token.text:
            case "(":
                return self.single(token, ")")
            case "[":
                return self.list(token)
            case "{":
                return self.map(token)
            case _:
                raise self.unexpected(token=token)

    def word(self, token: Token) -> Node:
        if token.text in LITERALS:
            return Constant(LITERALS[token.text], token.position)
        if token.text in RESERVED:
            raise syntax_fault(f'"{token.text}" is a reserved word', token.position)
        if self.next.text == "(":
            return Call(None, token.text, self.arguments(), token.position)
        return Name(token.text, token.position)

    def single(self, opening: Token, closing: str) -> Node:
        self.enter(opening)
        node = self.expression()
        self.leave(closing)
        return node

    def arguments(self) -> tuple[Node, ...]:
        self.enter(self.take())
        nodes: list[Node] = []
        if self.next.text != ")":
            nodes.append(self.expression())
            while self.took(","):
                nodes.append(self.expression())
        self.leave(")")
        return tuple(nodes)

    def list(self, opening: Token) -> Node:
        self.enter(opening)
        nodes: list[Node] = []
        while self.next.text != "]":
            nodes.append(self.expression())
            if not self.took(","):
                break
        self.leave("]")
        return ListOf(tuple(nodes), opening.position)

    def map(self, opening: Token) -> Node:
        self.enter(opening)
        entries: list[tuple[Node, Node]] = []
        while self.next.text != "}":
            key = self.expression()
            self.expect(":")
            entries.append((key, self.expression()))
            if not self.took(","):
                break
        self.leave("}")
        return MapOf(tuple(entries), opening.position)

    def enter(self, opening: Token) -> None:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise syntax_fault(
                f"brackets are nested more than {MAX_NESTING} deep", opening.position
            )

    def leave(self, closing: str) -> None:
        self.expect(closing)
        self.nesting -= 1


def _joined(first: Node, rest: tuple[Operation, ...]) -> Node:
    sign, position = rest[0].sign, rest[0].position
    if sign == "||" or sign == "&&":
        return Logic(sign, (first, *[term.operand for term in rest]), position)
    return Chain(first, rest, position)


def _whole_number(token: Token, sign: str = "") -> Node:
    value = int(sign + token.text, 16 if token.text[:2] in ("0x", "0X") else 10)
    if not MIN_INT <= value <= MAX_INT:
        raise syntax_fault("whole numbers have 64 bits: this one is too large", token.position)
    return Constant(value, token.position)


def _double(token: Token) -> Node:
    value = float(token.text)
    if math.isinf(value):
        raise syntax_fault("this number is too large", token.position)
    return Constant(value, token.position)


def _text(token: Token) -> Node:
    return Constant(text_value(token), token.position)


_LITERAL_KINDS: dict[str, Callable[[Token], Node]] = {
    "int": _whole_number,
    "double": _double,
    "text": _text,
}
