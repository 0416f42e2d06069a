"""What the demo model's reviews of deals have in common: read, look into some, judge by rules."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.money import short
from llm.demo.brain import LABEL
from llm.demo.view import Call, Reply, View

TOLD = re.compile(r"^<(\w+)>\n(.*?)\n</\1>$", re.MULTILINE | re.DOTALL)
LOOK = "crm_get_deal"
ROLES = ("economic buyer", "decision maker", "champion")

Deal = Mapping[str, Any]
History = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    deals: list[Deal]
    figures: dict[str, str]

    def figure(self, label: str) -> str:
        return self.figures.get(label, "none")


@dataclass(frozen=True)
class Review:
    """`opening` is how its prompt begins; `judge` sees a deal's history where it was looked at."""

    opening: str
    listed: str
    most: int
    judge: Callable[[Deal, History | None], tuple[str, str]]
    summary: Callable[[Asked], str]

    def answer(self, view: View) -> Reply | None:
        if not view.asked.startswith(self.opening):
            return None
        told = {name: json.loads(text) for name, text in TOLD.findall(view.asked)}
        figures: dict[str, str] = {}
        # Amounts of several currencies are figures of the same label.
        for label, value in ((each["label"], each["value"]) for each in told["figures"]):
            figures[label] = f"{figures[label]} and {value}" if label in figures else value
        asked = Asked(told[self.listed], figures)
        if calls := self._calls(view, asked.deals):
            return Reply(calls=calls)
        histories = _histories(view)
        judged = [self._judged(deal, histories.get(deal["deal_id"])) for deal in asked.deals]
        answer = {"summary": f"{LABEL} {self.summary(asked)}", "deals": judged}
        return Reply(json.dumps(answer, ensure_ascii=False))

    def _calls(self, view: View, deals: Sequence[Deal]) -> tuple[Call, ...]:
        """The worst deals first, all at once where the wire has room for several."""
        if LOOK not in {tool.name for tool in view.tools}:
            return ()
        seen = {call.arguments.get("deal_id") for said in view.said for call in said.calls}
        open_ones = [each["deal_id"] for each in deals[: self.most] if each["deal_id"] not in seen]
        return tuple(
            Call(LOOK, {"deal_id": each}) for each in open_ones[: None if view.parallel else 1]
        )

    def _judged(self, deal: Deal, history: History | None) -> dict[str, str]:
        comment, action = self.judge(deal, history)
        severity = deal["severity"]
        return {
            "deal_id": deal["deal_id"],
            "severity": severity,
            "comment": comment,
            "action": action,
        }


def _histories(view: View) -> dict[str, History]:
    found: dict[str, History] = {}
    for name, said in view.results:
        if name == LOOK and not said.failed:
            try:
                history = json.loads(said.text)
            except ValueError:  # a long answer is cut
                continue
            found[history["deal"]["deal_id"]] = history
    return found


def last_touch(history: History) -> str:
    """The last of activities and conversations, as one sentence."""
    touches = [
        (each["at"], each["kind"], each.get("subject") or each.get("title"))
        for each in (*history["activities"], *history["conversations"])
    ]
    if not touches:
        return "The record shows no activity at all."
    at, kind, subject = max(touches, key=lambda touch: touch[0])
    named = f" “{subject}”" if subject else ""
    return f"The last was the {kind}{named} on {at[:10]}."


def last_change(history: History, field: str) -> str:
    for change in history["changes"]:
        if change["field"] == field and change["from"]:
            what = field.replace("_", " ").capitalize()
            return f"{what} changed from {change['from']} to {change['to']} on {change['on']}."
    return ""


def person(history: History | None) -> str:
    """Whom to talk to: who decides, or whoever is there."""
    contacts = history["contacts"] if history else []
    by_role = {(each["role"] or "").lower(): each["name"] for each in contacts}
    named = next((by_role[role] for role in ROLES if role in by_role), None)
    return named or (contacts[0]["name"] if contacts else "the buyer")


def named(deals: Sequence[Deal], kinds: str) -> str:
    return "; ".join(f"{deal['name']} ({_beside(deal)}{_words(deal[kinds])})" for deal in deals)


def _beside(deal: Deal) -> str:
    facts = [deal["owner"]] if deal["owner"] else []
    if deal["amount"]:
        facts.insert(0, short(deal["amount"], deal["currency"]))
    return "".join(f"{fact}, " for fact in facts)


def _words(kinds: Sequence[str]) -> str:
    return " and ".join(kind.replace("_", " ") for kind in kinds)


def most_common(values: Sequence[str | None]) -> tuple[str, int] | None:
    counted = Counter(value for value in values if value)
    return counted.most_common(1)[0] if counted else None
