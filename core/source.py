"""YAML as plain JSON values, with the place of everything in its file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from core.faults import Faults, Place, near, quoted, strangers

Path = tuple[str | int, ...]

# The same events from both; the C one is twenty times as fast where it was built.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 50
MAX_VALUES = 100_000
MAX_INT = 2**63 - 1

# YAML 1.2: `on`, `yes`, `8:30` and dates are text, and `010` is ten.
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ufffe\uffff]")
WHOLE_FILE = "file"  # beside the styles of YAML: the text is all there is in its file
_TEXT_TAGS = frozenset((None, "!", "tag:yaml.org,2002:str"))


@dataclass(frozen=True)
class Source:
    """`path` leads from the root of the document to a value: `("steps", 0, "when")`."""

    file: str
    value: Any
    places: dict[Path, Place]
    keys: dict[Path, Place]
    styles: dict[Path, str]
    lines: list[str]
    first_line: int = 1

    def at(self, path: Path) -> Place | None:
        """Of the value, or of the nearest thing around it."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places.get(path)

    def at_key(self, path: Path) -> Place | None:
        return self.keys.get(path) or self.at(path)

    def inside(self, path: Path, text: str, position: int) -> Place | None:
        """Of one character of a text value, as far as its style tells."""
        start = self.places.get(path)
        if start is None or start.column is None:
            return self.at(path)
        style = self.styles.get(path, "")
        if style in ("|", WHOLE_FILE):
            before = text[:position]
            return self._within(
                start.line + (style == "|") + before.count("\n"),
                text.split("\n")[before.count("\n")],
                0,
                position - before.rfind("\n") - 1,
            )
        if style == ">":
            return start
        return (
            self._within(start.line, text, start.column - 1 + (style in ("'", '"')), position)
            or start
        )

    def _within(self, line: int, text: str, column: int, position: int) -> Place | None:
        written = self.lines[line - self.first_line] if self._has(line) else ""
        found = written.find(text, column)
        if found < 0 or (column and found != column):
            return None
        return Place(line, found + position + 1)

    def _has(self, line: int) -> bool:
        return 0 <= line - self.first_line < len(self.lines)


def decode(file: str, data: bytes, faults: Faults) -> str | None:
    """UTF-8 without control characters, or a fault that says where."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        line = data.count(b"\n", 0, broken.start) + 1
        is_utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = "this is UTF-16" if is_utf16 else f"byte 0x{data[broken.start]:02x} is not UTF-8"
        faults.error(file, f"{what}; save the file as UTF-8", Place(line))
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    control = _CONTROL.search(text)
    if control is None:
        return text
    line = text.count("\n", 0, control.start()) + 1
    column = control.start() - text.rfind("\n", 0, control.start())
    message = f"control character U+{ord(control[0]):04X}: text files hold none"
    faults.error(file, message, Place(line, column))
    return None


def whole(file: str, text: str) -> Source:
    """A file that is one text, not YAML."""
    return Source(file, text, {(): Place(1, 1)}, {}, {(): WHOLE_FILE}, text.split("\n"))


def read(file: str, text: str, faults: Faults, first_line: int = 1) -> Source | None:
    """None where it is not YAML at all; other faults leave what could be read."""
    builder = _Builder(file, text.split("\n"), first_line, faults)
    try:
        value = builder.document(yaml.parse(text, Loader=_LOADER))
    except _Unreadable:
        return None
    except yaml.MarkedYAMLError as broken:
        builder.blame(broken)
        return None
    except yaml.YAMLError as broken:
        faults.error(file, f"not YAML: {broken}"[:200], Place(first_line))
        return None
    return Source(
        file, value, builder.places, builder.keys, builder.styles, builder.lines, first_line
    )


class _Unreadable(Exception):
    """A fault was told that leaves nothing to go on with."""


@dataclass
class _Builder:
    """Reads events, not nodes: depth and size are checked before anything is built."""

    file: str
    lines: list[str]
    first_line: int
    faults: Faults
    places: dict[Path, Place] = field(default_factory=dict[Path, Place])
    keys: dict[Path, Place] = field(default_factory=dict[Path, Place])
    styles: dict[Path, str] = field(default_factory=dict[Path, str])

    def document(self, events: Iterator[yaml.Event]) -> Any:
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fail(event, "a second document begins here; one file holds one document")
            elif isinstance(event, yaml.NodeEvent):
                value = self._value(event, events, ())
        return value

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> Any:
        if len(path) > MAX_DEPTH:
            self._fail(event, f"nested more than {MAX_DEPTH} levels deep")
        if len(self.places) >= MAX_VALUES:
            self._fail(event, f"more than {MAX_VALUES:,} values in one file")
        self.places[path] = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            self._error(
                event, f"alias `*{event.anchor}`: write the value out, aliases are not used"
            )
            return None
        if getattr(event, "anchor", None) is not None:
            self._error(
                event, f"anchor {_anchor(event)}: anchors are not used; quote a leading `&`"
            )
        if isinstance(event, yaml.ScalarEvent):
            self.styles[path] = event.style or ""
            return self._scalar(event)
        if getattr(event, "tag", None) is not None:
            self._error(event, f"tag {quoted(_tag(event))}: tags are not used")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(events, path)
        return self._mapping(events, path)

    def _list(self, events: Iterator[yaml.Event], path: Path) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[yaml.Event], path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event)
            here = (*path, key)
            value = self._value(next(events), events, here)
            if key not in mapping:
                self.keys[here] = self._place(event)
                mapping[key] = value
                continue
            line = self.keys[here].line
            self._error(event, f"{quoted(key)} is written twice here; first in line {line}")
        return mapping

    def _key(self, event: yaml.Event) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._fail(event, "a key is a plain word, not a list or mapping; quote a leading `{`")
        if event.anchor is not None or event.tag not in _TEXT_TAGS:
            self._error(event, "anchors and tags are not used")
        return self._text(event, event.value)

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        if event.tag not in _TEXT_TAGS:
            self._error(event, f"tag {quoted(_tag(event))}: tags are not used")
            return None
        if event.style or event.tag is not None:
            return self._text(event, event.value)
        return self._plain(event, event.value)

    def _plain(self, event: yaml.ScalarEvent, text: str) -> Any:
        if text in _NULL:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if _INT.match(text) or _BASED.match(text):
            return self._number(event, text)
        if _FLOAT.match(text) or _NO_NUMBER.match(text):
            value = math.inf if _NO_NUMBER.match(text) else float(text)
            if math.isfinite(value):
                return value
            self._error(event, f"{quoted(text)} is no JSON number; quote it if it is text")
            return None
        return self._text(event, text)

    def _number(self, event: yaml.ScalarEvent, text: str) -> int | None:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        value = int(text, base) if len(text) <= 24 else MAX_INT + 1
        if abs(value) > MAX_INT:
            self._error(event, f"{quoted(text)} does not fit 64 bits; quote it if it is text")
            return None
        digits = text.lstrip("+-")
        if base == 10 and len(digits) > 1 and digits[0] == "0":
            message = f"{quoted(text)} is read as the number {value}; quote it if it is text"
            self.faults.warn(self.file, message, self._place(event))
        return value

    def _text(self, event: yaml.Event, text: str) -> str:
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            self._error(event, "a text holds no NUL and no half of a surrogate pair")
            return ""
        return text

    def blame(self, broken: yaml.MarkedYAMLError) -> None:
        mark = broken.problem_mark or broken.context_mark
        line = min(mark.line if mark else 0, max(len(self.lines) - 1, 0))
        place = Place(line + self.first_line, mark.column + 1 if mark else None)
        problem = broken.problem or "cannot be read"
        written = self.lines[line] if self.lines else ""
        indent = written[: len(written) - len(written.lstrip())]
        if "\t" in indent or (mark and written[mark.column : mark.column + 1] == "\t"):
            hint = "; a tab stands here, YAML is indented with spaces"
        elif "mapping values are not allowed" in problem:
            hint = "; quote a value that contains a colon"
        elif "alphabetic" in problem:
            hint = "; quote a value that begins with `*` or `&`"
        elif "${" in written and "expected ','" in problem:
            hint = "; inside { } and [ ] quote a value that holds `${…}`"
        elif "cannot start any token" in problem:
            hint = "; quote a value that begins with this character"
        else:
            hint = ""
        self.faults.error(self.file, f"not YAML: {problem}{hint}", place)

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        if mark is None:
            return Place(self.first_line)
        return Place(mark.line + self.first_line, mark.column + 1)

    def _error(self, event: yaml.Event, message: str) -> None:
        self.faults.error(self.file, message, self._place(event))

    def _fail(self, event: yaml.Event, message: str) -> NoReturn:
        self._error(event, message)
        raise _Unreadable


def _anchor(event: yaml.Event) -> str:
    return quoted(f"&{getattr(event, 'anchor', '')}")


def _tag(event: yaml.Event) -> str:
    return str(getattr(event, "tag", "")).replace("tag:yaml.org,2002:", "!!")


@dataclass(frozen=True)
class Report:
    """Faults of one source, told by path."""

    source: Source
    faults: Faults

    def error(self, path: Path, message: str) -> None:
        self.faults.error(self.source.file, message, self.source.at(path))

    def error_at_key(self, path: Path, message: str) -> None:
        self.faults.error(self.source.file, message, self.source.at_key(path))

    def error_inside(self, path: Path, text: str, position: int, message: str) -> None:
        self.faults.error(self.source.file, message, self.source.inside(path, text, position))

    def warn(self, path: Path, message: str) -> None:
        self.faults.warn(self.source.file, message, self.source.at(path))

    def warn_at_key(self, path: Path, message: str) -> None:
        self.faults.warn(self.source.file, message, self.source.at_key(path))

    def mapping(self, path: Path, value: Any, expected: str) -> dict[str, Any]:
        """The mapping, or none and a fault."""
        if isinstance(value, dict):
            return value
        self.error(path, f"expected {expected}, got {kind_of(value)}")
        return {}

    def known_keys(self, path: Path, mapping: dict[str, Any], known: tuple[str, ...]) -> None:
        for key in strangers(mapping, known):
            self.error_at_key((*path, key), f"unknown key {quoted(key)}{near(key, known)}")


def kind_of(value: Any) -> str:
    """What YAML made of something, in the author's words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"{str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}" if value else "an empty text"
        case dict():
            return "a mapping"
        case _:
            return "a list"
