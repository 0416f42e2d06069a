"""Steps that ask a model: the prompt, what the answer must be, which tools go with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from core import words
from core.draft import Draft, Written
from core.faults import near, quoted
from core.files import SKILL, Texts
from core.frontmatter import LONGEST_ALLOWED, MAX_ALLOWED
from core.skill import Schema
from core.source import Path, Report, kind_of, whole

OF_ALL = ("model", "max_tokens")
WORDS: dict[str, tuple[str, ...]] = {
    "extract": ("schema", *OF_ALL),
    "classify": ("labels", *OF_ALL),
    "generate": OF_ALL,
    "reason": ("tools", "schema", "turns", "approve_writes", *OF_ALL),
}
NEEDED = {
    "extract": ("schema", "what the answer is, as in {type: object, properties: {…}}"),
    "classify": ("labels", "what may be answered, as in [urgent, normal]"),
}
MOST_TOKENS, MOST_TURNS = 1_000_000, 100
FEWEST_LABELS, MOST_LABELS = 2, 50
_FILE = re.compile(r"[\w./-]+\.(?:md|txt)\Z")
_LIKE_A_FILE = re.compile(r"[\w.-]+(?:[/\\][\w.-]+)+\Z")
_LABEL = re.compile(r"\S(?:[^\n]{0,98}\S)?\Z")
# Providers refuse them at the root of a schema.
_UNIONS = ("anyOf", "oneOf", "allOf", "$ref")


def read_question(
    report: Report, texts: Texts, draft: Draft, value: Any, step: dict[str, Any]
) -> None:
    assert draft.kind is not None
    _read_prompt(report, texts, draft, (*draft.path, draft.kind), value)
    for word, (field, read) in _READERS.items():
        if word in step and word in WORDS[draft.kind]:
            draft.fields[field] = read(report, (*draft.path, word), step[word])
    needed, why = NEEDED.get(draft.kind, ("", ""))
    if needed and needed not in step:
        message = f"`{draft.kind}` needs `{needed}`: {why}"
        report.error_at_key((*draft.path, draft.kind), message)


def _read_prompt(report: Report, texts: Texts, draft: Draft, path: Path, value: Any) -> None:
    expected = "a prompt, or the path of one such as prompts/report.md"
    text = words.text(report, path, value, expected)
    draft.fields["prompt"] = text
    if _FILE.match(text.strip()):
        _read_file(report, texts, draft, path, text.strip())
    elif text:
        if _LIKE_A_FILE.match(text):
            message = f"{quoted(text)} is taken for the prompt itself"
            report.warn(path, f"{message}: the path of one ends in .md or .txt")
        draft.prompt = Written(path, text)
        draft.written.append(draft.prompt)


def _read_file(report: Report, texts: Texts, draft: Draft, path: Path, file: str) -> None:
    if report.faults.full:
        return
    if file.lower() == SKILL.lower():
        message = "the body of SKILL.md is no prompt: a `reason` step has it by itself"
        report.error(path, message)
    elif file not in texts.files:
        others = [each for each in texts.files if _FILE.match(each) and each.lower() != "skill.md"]
        message = f"{quoted(file)} is no file of this bundle{near(file, others)}"
        report.error(path, message)
    elif (text := texts.find(file)) is not None:
        if not text.strip():
            report.faults.error(file, "the prompt is empty")
        draft.fields["prompt"] = text
        draft.prompt = Written((), text, file=Report(whole(file, text), report.faults))
        draft.written.append(draft.prompt)


def _schema(report: Report, path: Path, value: Any) -> Schema:
    expected = "a JSON Schema such as {type: object, properties: {…}}"
    schema = report.mapping(path, value, expected)
    if not isinstance(value, dict) or not words.is_sound_schema(report, path, schema):
        return {}
    unions = [key for key in _UNIONS if key in schema]
    if schema.get("type") != "object":
        message = "the root of an answer's schema is an object: write {type: object, properties: …}"
        report.error(path, f"{message}{_instead(schema)}")
    elif unions:
        message = f"`{unions[0]}` at the root of a schema is what providers refuse"
        report.error_at_key((*path, unions[0]), f"{message}: put it under one of the `properties`")
    elif not schema.get("properties"):
        message = "this schema names no `properties`: no model can know what to answer"
        report.warn(path, message)
    for below in _templates(schema, ()):
        report.warn((*path, *below), "`${…}` in a schema stays as it is: schemas are no templates")
    return schema


def _instead(schema: Schema) -> str:
    return ", and put the list under one of them" if schema.get("type") == "array" else ""


def _templates(value: Any, path: Path) -> Iterator[Path]:
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    elif words.is_template(value):
        yield path
    for key, each in inner:
        yield from _templates(each, (*path, key))


def _labels(report: Report, path: Path, value: Any) -> dict[str, str | None]:
    if not isinstance(value, dict | list):
        expected = "a list of labels, or a mapping of each to what it means"
        report.error(path, f"expected {expected}, got {kind_of(value)}")
        return {}
    if not FEWEST_LABELS <= len(value) <= MOST_LABELS:
        many = f"{FEWEST_LABELS} to {MOST_LABELS} labels"
        report.error(path, f"expected {many}, got {len(value)}")
        return {}
    if isinstance(value, list):
        _check_list(report, path, value)
        return dict.fromkeys(each for each in value if isinstance(each, str))
    for label, meaning in value.items():
        fault = _label_fault(label)
        if fault is not None:
            report.error_at_key((*path, label), fault)
        if meaning is not None and not isinstance(meaning, str):
            message = f"expected what {quoted(label)} means, got {kind_of(meaning)}"
            report.error((*path, label), message)
        elif words.is_template(meaning):
            report.error((*path, label), "labels and their meanings hold no `${…}`")
    return value


def _check_list(report: Report, path: Path, labels: list[Any]) -> None:
    for position, label in enumerate(labels):
        fault = _label_fault(label)
        if fault is None and label in labels[:position]:
            fault = f"the label {quoted(label)} is there twice"
        if fault is not None:
            report.error((*path, position), fault)


def _label_fault(label: Any) -> str | None:
    if not isinstance(label, str):
        hint = "; quote it" if isinstance(label, bool | int | float) else ""
        return f"expected a label, got {kind_of(label)}{hint}"
    if not _LABEL.match(label):
        return f"a label is one line of 1 to 100 characters, got {kind_of(label)}"
    return "labels and their meanings hold no `${…}`" if words.is_template(label) else None


def _tools(report: Report, path: Path, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        names = value.replace(",", " ").split() if isinstance(value, str) else []
        hint = f"; write [{', '.join(names)}]" if 0 < len(" ".join(names)) <= 80 else ""
        report.error(path, f"expected a list of tools, got {kind_of(value)}{hint}")
        return ()
    if len(value) > MAX_ALLOWED:
        report.error(path, f"{len(value)} tools; a step lists at most {MAX_ALLOWED}")
        return ()
    for position, name in enumerate(value):
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ALLOWED:
            expected = "expected the name of a tool, or a pattern such as crm_*"
            report.error((*path, position), f"{expected}, got {kind_of(name)}")
    return tuple(dict.fromkeys(name for name in value if isinstance(name, str)))


def _max_tokens(report: Report, path: Path, value: Any) -> int:
    return words.whole(report, path, value, 1, MOST_TOKENS)


def _turns(report: Report, path: Path, value: Any) -> int:
    return words.whole(report, path, value, 1, MOST_TURNS)


def _approve_writes(report: Report, path: Path, value: Any) -> str:
    return words.choice(report, path, value, ("never", "always"))


# Each word with the field it fills.
_READERS: dict[str, tuple[str, Callable[[Report, Path, Any], Any]]] = {
    "schema": ("output_schema", _schema),
    "labels": ("labels", _labels),
    "tools": ("tools", _tools),
    "turns": ("turns", _turns),
    "approve_writes": ("approve_writes", _approve_writes),
    "model": ("model", words.model),
    "max_tokens": ("max_tokens", _max_tokens),
}
