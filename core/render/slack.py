"""A message of Slack's Block Kit within its limits: one message, however much there is to say.

An incoming webhook cannot answer in a thread, so what does not fit is counted and linked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from core.model import Frozen
from core.render.mrkdwn import brief, escaped, fit, flat, link, packed, size
from core.render.pieces import Bullets, Code, Facts, Heading, Piece, Prose, Table, pieces
from core.render.reading import (
    SEVERITIES,
    Group,
    by_severity,
    groups,
    in_numbers,
    in_short,
    since,
    to_do,
)
from core.render.words import BY_DEMO, CIRCLE, clean, cut, facts, line, moment, title_of, web
from core.report import Finding, Occasion, Report, Task

Block = dict[str, Any]

MOST_BLOCKS = 50
LONGEST_HEADER = 150
LONGEST_SECTION = 3_000
MOST_FIELDS = 10
LONGEST_TEXT = 4_000
# Of all blocks together, as JSON. Slack documents none; it has refused 13,200.
LONGEST_MESSAGE = 12_000
# How many findings, or rows, are shown: the first of these that fits.
AS_MANY_AS_FIT = (30, 20, 12, 8, 5, 3, 1)
MOST_GROUPS = 12
MOST_TASKS = 10
MOST_NOTES = 5
MOST_PIECES = 12
UNTITLED = "Report"


class Message(Frozen):
    """`folded` counts the findings, or rows, that only the full report shows."""

    text: str
    blocks: tuple[Block, ...] = ()
    folded: int = 0

    def payload(self) -> dict[str, Any]:
        """What is posted."""
        blocks = {"blocks": list(self.blocks)} if self.blocks else {}
        return {"text": self.text, **blocks}


def slack(value: Any, occasion: Occasion) -> Message:
    if occasion.status != "succeeded":
        return _unfinished(occasion)
    if isinstance(value, str) and not occasion.by_demo:
        text = escaped(clean(value).strip())
        if 0 < size(text) <= LONGEST_TEXT:
            return Message(text=text)
    report = Report.read(value)

    def message(shown: int) -> Message:
        return _report(report, occasion, shown) if report else _other(value, occasion, shown)

    return next(filter(_fits, map(message, AS_MANY_AS_FIT)), message(0))


def _fits(message: Message) -> bool:
    return len(message.blocks) <= MOST_BLOCKS and weight(message) <= LONGEST_MESSAGE


def weight(message: Message) -> int:
    return size(json.dumps(message.blocks, ensure_ascii=False))


# A report


def _report(report: Report, occasion: Occasion, most: int) -> Message:
    shown = _shown(groups(report), most)
    told = sum(len(each) for each in shown.values())
    folded = len(report.findings) - told
    blocks = [
        _header(report.title),
        _small(_about(report, occasion)),
        *_sections([fit(report.summary, 1_500)]),
        *_metrics(report),
        *_changes(report),
        *(block for group, few in shown.items() for block in _group(group, few)),
        *_rest(report, shown, folded, occasion),
        *_tasks(report, occasion, most),
        *_note(report.note or ""),
        *_foot(occasion),
    ]
    numbers = in_numbers(report.findings) if report.findings else line(report.summary, 200)
    text = " – ".join(part for part in (line(report.title, 150) or UNTITLED, numbers) if part)
    return Message(text=escaped(text), blocks=tuple(blocks), folded=folded)


def _shown(found: list[Group], most: int) -> dict[Group, list[Finding]]:
    """The most severe; where not all of a severity fit, each kind has its turn."""
    shown: dict[Group, list[Finding]] = {group: [] for group in found[:MOST_GROUPS]}
    left = most
    for severity in SEVERITIES:
        waiting = {group: group.of(severity) for group in shown}
        for turn in range(max(map(len, waiting.values()), default=0)):
            for group, findings in waiting.items():
                if left and turn < len(findings):
                    shown[group].append(findings[turn])
                    left -= 1
    return {group: few for group, few in shown.items() if few}


def _about(report: Report, occasion: Occasion) -> str:
    period = brief(report.period, 100) if report.period else ""
    parts = [brief(occasion.workspace, 80), period, escaped(moment(occasion.at))]
    return " · ".join(part for part in parts if part)


def _metrics(report: Report) -> list[Block]:
    fields = [
        f"*{brief(each.label, 80)}*\n{brief(each.value, 80)}"
        + (f" ({brief(each.change, 80)})" if each.change else "")
        for each in report.metrics[:MOST_FIELDS]
    ]
    return [{"type": "section", "fields": [_mrkdwn(field) for field in fields]}] if fields else []


def _changes(report: Report) -> list[Block]:
    changes = report.changes
    if changes is None:
        return []
    counted = in_short(changes)
    lines = [f"*{brief(since(changes), 80)}:* {counted}" if counted else ""]
    lines += [f"• {brief(note, 200)}" for note in changes.notes[:MOST_NOTES]]
    return _sections([each for each in lines if each])


def _group(group: Group, few: list[Finding]) -> list[Block]:
    total = len(group.findings)
    many = f"{total:,}" if len(few) == total else f"{len(few):,} of {total:,}"
    heading = f"*{brief(title_of(group.kind), 60)}* ({many})"
    return [{"type": "divider"}, *_sections([heading, *map(_finding, few)])]


def _finding(finding: Finding) -> str:
    deal = finding.deal
    title = brief(finding.title, 160)
    mark = f"{CIRCLE[finding.severity]} "
    fresh = " _(new)_" if finding.new else ""
    if deal is None:
        first = f"{mark}*{title}*{fresh}"
    else:
        beside = ", ".join(brief(fact, 60) for fact in facts(deal))
        named = link(deal.url, line(deal.name or deal.id, 80))
        first = f"{mark}*{named}*{f' ({beside})' if beside else ''}: {title}{fresh}"
    if not finding.action:
        return first
    return f"{first}\n      → {brief(finding.action, 140)}{_whose(finding)}"


def _note(text: str) -> list[Block]:
    said = fit(clean(text).strip(), 600)
    return [_small(said)] if said else []


def _whose(asked: Finding) -> str:
    known = [asked.owner, f"by {asked.due}" if asked.due else None]
    told = ", ".join(brief(each, 60) for each in known if each)
    return f" ({told})" if told else ""


def _rest(
    report: Report, shown: dict[Group, list[Finding]], folded: int, occasion: Occasion
) -> list[Block]:
    if not folded:
        return []
    told = {id(finding) for few in shown.values() for finding in few}
    rest = by_severity(each for each in report.findings if id(each) not in told)
    kinds: dict[str, int] = {}
    for finding in rest:
        kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
    named = [f"{count:,} {brief(title_of(kind), 60).lower()}" for kind, count in kinds.items()]
    of_kinds = ", ".join(named[:MOST_GROUPS]) + (", …" if len(named) > MOST_GROUPS else "")
    return _sections([f"… and {folded:,} more in {_full(occasion)}: {of_kinds}."])


def _full(occasion: Occasion) -> str:
    if web(occasion.link) is None:
        return f"the full report (`perdure report {flat(occasion.run_id)}`)"
    return link(occasion.link, "the full report")


def _tasks(report: Report, occasion: Occasion, most: int) -> list[Block]:
    """Those the report lists; what its findings ask for stands beside them already."""
    if not report.tasks:
        return []
    of_people = [(who, task) for who, tasks in to_do(report) for task in tasks]
    lines = [_task(who, task) for who, task in of_people[: min(MOST_TASKS, most + 3)]]
    more = len(of_people) - len(lines)
    lines += [f"… and {more:,} more in {_full(occasion)}."] if more else []
    return [{"type": "divider"}, *_sections(["*To do*", *lines])]


def _task(who: str | None, task: Task) -> str:
    due = f" _by {brief(task.due, 40)}_" if task.due else ""
    named = f"*{brief(who, 60)}*: " if who else ""
    return f"• {named}{brief(task.what, 180)}{due}"


# Anything else


@dataclass
class _Room:
    """Rows that may still be shown, how many were not, and whether a text was cut."""

    left: int
    folded: int = 0
    is_cut: bool = False

    def take(self, many: int, hidden: int) -> int:
        taken = min(many, self.left)
        self.left -= taken
        self.folded += many - taken + hidden
        return taken


def _other(value: Any, occasion: Occasion, most: int) -> Message:
    found, room = pieces(value), _Room(most)
    title = title_of(occasion.skill)
    blocks = [
        _header(title),
        _small(f"{brief(occasion.workspace, 80)} · {escaped(moment(occasion.at))}"),
        *(block for piece in found[:MOST_PIECES] for block in _piece(piece, room, most)),
    ]
    if room.folded or room.is_cut or len(found) > MOST_PIECES:
        many = f"{room.folded:,} more" if room.folded else "more"
        blocks += _sections([f"… and {many} in {_full(occasion)}."])
    blocks += _foot(occasion)
    return Message(text=escaped(title), blocks=tuple(blocks), folded=room.folded)


def _piece(piece: Piece, room: _Room, most: int) -> list[Block]:
    match piece:
        case Heading(text):
            return _sections([f"*{brief(text, 100)}*"])
        case Prose(text):
            return _prose(text, room, max(300, most * 250))
        case Code(text):
            shown = fit(text.replace("```", "'''"), max(200, min(1_500, most * 50)), escaped)
            return _sections([f"```{shown}```"])
        case Facts(rows):
            few = rows[: room.take(len(rows), 0)]
            return _sections([f"*{brief(name, 80)}*: {brief(value, 300)}" for name, value in few])
        case Bullets(items, left_out):
            few = items[: room.take(len(items), left_out)]
            return _sections([f"• {brief(item, 300)}" for item in few])
        case Table(columns, rows, left_out):
            few = rows[: room.take(len(rows), left_out)]
            return _sections([_row(columns, row) for row in few])


def _prose(text: str, room: _Room, longest: int) -> list[Block]:
    room.is_cut = room.is_cut or len(text) > longest
    return _sections([fit(each, LONGEST_SECTION) for each in cut(text, longest).split("\n")])


def _row(columns: tuple[str, ...], row: tuple[str, ...]) -> str:
    (_, first), *others = zip(columns, row, strict=True)
    told = [f"{brief(name, 40)} {brief(value, 80)}" for name, value in others if value != "–"]
    return f"• *{brief(first, 100)}*" + (f": {' · '.join(told)}" if told else "")


def _unfinished(occasion: Occasion) -> Message:
    title = f"{title_of(occasion.skill)}: {occasion.status.replace('_', ' ')}"
    why = occasion.error.message if occasion.error else ""
    blocks = (_header(title), *_sections([fit(why, LONGEST_SECTION)]), *_foot(occasion))
    return Message(text=escaped(title), blocks=blocks)


# Blocks


def _foot(occasion: Occasion) -> list[Block]:
    blocks = [_small(BY_DEMO)] if occasion.by_demo else []
    address = web(occasion.link)
    if address is None:
        return blocks
    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Open the full report"},
        "url": address,
    }
    return [*blocks, {"type": "actions", "elements": [button]}]


def _header(title: str) -> Block:
    text = line(title, LONGEST_HEADER) or UNTITLED
    while size(text) > LONGEST_HEADER:
        text = cut(text, len(text) - 1)
    return {"type": "header", "text": {"type": "plain_text", "text": text}}


def _small(text: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text)]}


def _sections(lines: list[str]) -> list[Block]:
    texts = packed([each for each in lines if each.strip()], LONGEST_SECTION)
    return [{"type": "section", "text": _mrkdwn(text)} for text in texts]


def _mrkdwn(text: str) -> dict[str, Any]:
    # Verbatim: names of channels and people in plain words stay plain words.
    return {"type": "mrkdwn", "text": text, "verbatim": True}
