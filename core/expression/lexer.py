from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from core.expression.fault import syntax_fault

MAX_SOURCE = 4_000

TokenKind = Literal["text", "double", "int", "word", "symbol", "end"]


class Token(NamedTuple):
    kind: TokenKind
    text: str
    position: int


_TOKEN = re.compile(
    r"""
    (?P<space> [ \t\r\n\f]+ )
  | (?P<text> [rR] (?: '''.*?''' | \"\"\".*?\"\"\" )
            | (?: '''(?:[^\\]|\\.)*?''' | \"\"\"(?:[^\\]|\\.)*?\"\"\" )
            | [rR] (?: '[^'\n]*' | "[^"\n]*" )
            | '(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*" )
  | (?P<double> [0-9]+ (?: \.[0-9]+ (?:[eE][+-]?[0-9]+)? | [eE][+-]?[0-9]+ ) )
  | (?P<int> 0[xX][0-9a-fA-F]+ | [0-9]+ )
  | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<symbol> && | \|\| | == | != | <= | >= | \.\? | \[\? | [-+*/%!<>?:.,()\[\]{}] )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})"
    r"|([0-3][0-7]{2})|(.))",
    re.DOTALL,
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ASKED_FOR = {
    "=": '"=" is no operator: equality is "=="',
    "&": 'there is no "&": both is "&&"',
    "|": 'there is no "|": either is "||"',
    "'": "this text is never closed",
    '"': "this text is never closed",
}


def tokens(source: str, start: int = 0) -> Iterator[Token]:
    """Lazily, so that a template can stop at the brace that closes its expression."""
    position = start
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            character = source[position]
            raise syntax_fault(
                _ASKED_FOR.get(character, f'"{character}" has no meaning here'), position
            )
        kind = match.lastgroup
        if kind != "space":
            yield Token(kind, match[0], position)  # pyright: ignore[reportArgumentType]
        position = match.end()
    yield Token("end", "", len(source))


def closing_brace(source: str, start: int) -> int:
    """Where the expression that begins at `start` ends: at a brace it did not open itself."""
    open_braces = 0
    for token in tokens(source, start):
        if token.position - start > MAX_SOURCE:
            raise syntax_fault(f"an expression has at most {MAX_SOURCE:,} characters", start)
        if token.text == "{":
            open_braces += 1
        elif token.text == "}":
            if open_braces == 0:
                return token.position
            open_braces -= 1
    raise syntax_fault('"${" is never closed by "}": a literal "${" is written "$${"', start - 2)


def text_value(token: Token) -> str:
    raw = token.text[0] in "rR"
    quoted = token.text[1:] if raw else token.text
    width = 3 if len(quoted) >= 6 and quoted[:3] in ("'''", '"""') else 1
    inner = quoted[width:-width]
    if raw or "\\" not in inner:
        return inner
    inside = token.position + width

    def unescape(match: re.Match[str]) -> str:
        simple, byte, short, long, octal, other = match.groups()
        if simple:
            return _SIMPLE.get(simple, simple)
        code = int(octal, 8) if octal else int(byte or short or long or "110000", 16)
        if other or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise syntax_fault(
                f'"{match[0][:10]}" is no character: a backslash is written twice',
                inside + match.start(),
            )
        return chr(code)

    return _ESCAPE.sub(unescape, inner)
