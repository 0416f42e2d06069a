"""Answers to the skill meeting-notes, read from the notes that were sent."""

from __future__ import annotations

import json
import re
from datetime import date

from llm.demo.brain import LABEL
from llm.demo.view import Reply, View

NOTES = re.compile(r"^Here are the notes of a meeting .*?<notes>\n(.*)\n</notes>", re.DOTALL)
ITEM = re.compile(
    r"^\s*[-*•]\s*(?P<who>[^:\n]{1,60}):\s*(?P<what>[^\n]+?)"
    r"(?:,?\s*(?:by|until)\s+(?P<due>\d{4}-\d\d-\d\d))?[.\s]*$",
    re.MULTILINE,
)
ASKED = re.compile(r"^The meeting was on (\d{4}-\d\d-\d\d)\. How urgent is this action item\?")
DUE = re.compile(r"^Due: (\d{4}-\d\d-\d\d)", re.MULTILINE)
URGENT_DAYS, SOON_DAYS = 3, 14


def answer(view: View) -> Reply | None:
    if asked := ASKED.match(view.asked):
        return Reply(json.dumps({"label": _urgency(asked[1], view.asked)}))
    notes = NOTES.match(view.asked)
    if notes is None:
        return None
    if view.schema is not None:
        return Reply(json.dumps({"actions": _actions(notes[1])}, ensure_ascii=False))
    return Reply(_summary(notes[1]))


def _actions(notes: str) -> list[dict[str, str | None]]:
    return [found.groupdict() for found in ITEM.finditer(notes)]


def _urgency(held_on: str, asked: str) -> str:
    due = DUE.search(asked)
    try:
        days = (date.fromisoformat(due[1]) - date.fromisoformat(held_on)).days if due else None
    except ValueError:
        days = None
    if days is None or days > SOON_DAYS:
        return "whenever"
    return "urgent" if days <= URGENT_DAYS else "soon"


def _summary(notes: str) -> str:
    said = [line.strip() for line in ITEM.sub("", notes).splitlines() if line.strip()]
    people = list(dict.fromkeys(found["who"] for found in ITEM.finditer(notes)))
    busy = f" {', '.join(people)} took something on." if people else " Nobody took anything on."
    return f"{LABEL} {' '.join(said)[:600]}{busy}"
