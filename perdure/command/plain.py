"""Text from elsewhere, made safe to show: it moves no cursor and reverses no line."""

from __future__ import annotations

import json
import re
from typing import Any

ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # cursor and colours
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)"  # titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]",
    re.DOTALL,
)
BIDIRECTIONAL = "\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069"
UNSEEN = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{BIDIRECTIONAL}]")
UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f\ud800-\udfff\u2028\u2029{BIDIRECTIONAL}]")
NOT_ASCII = re.compile("[^\x00-\x7f]")


def plain(text: str) -> str:
    """Keeps newlines and tabs."""
    return UNSEEN.sub("", ESCAPE.sub("", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    return " ".join(plain(text).split())


def as_json(value: Any, *, encoding: str | None = "utf-8", indent: int | None = None) -> str:
    """Faithful: what could harm a terminal is escaped as JSON escapes it."""
    separators = None if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, default=str)
    is_unicode = (encoding or "").lower().replace("_", "-").startswith("utf")
    return (UNSAFE_IN_JSON if is_unicode else NOT_ASCII).sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code > 0xFFFF:
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"
