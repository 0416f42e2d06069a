"""Answers to the skill deal-risk-review: signs read from what was said, judgement by rules."""

from __future__ import annotations

import json
import re

from dev.demo.reviews import (
    Asked,
    Deal,
    History,
    Review,
    last_change,
    last_touch,
    most_common,
    named,
    person,
)
from dev.demo.signals import signs
from llm.demo.view import Reply, View

CONVERSATION = re.compile(
    r"^Find the signs of risk .*?<conversation>\n(.*)\n</conversation>", re.DOTALL
)
LOOKED_AT = 4
FIRST = 3
MOVES = {
    "risk_signal": "Ask {whom} about it before the next step, and write down the answer.",
    "amount_cut": "Find out with {whom} what fell away, and hold the rest in writing.",
    "stuck": "Agree with {whom} what the next stage needs and by when.",
    "single_threaded": "Ask {whom} to introduce whoever signs, and one who will use it.",
    "at_risk": "Ask {whom} whether the deal is still alive.",
}


def answer(view: View) -> Reply | None:
    if said := CONVERSATION.match(view.asked):
        found = [
            {
                "kind": sign.kind,
                "quote": sign.quote,
                "speaker": sign.speaker,
                "severity": sign.severity,
            }
            for sign in signs(said[1])
        ]
        return Reply(json.dumps({"signals": found}, ensure_ascii=False))
    return REVIEW.answer(view)


def _judge(deal: Deal, history: History | None) -> tuple[str, str]:
    if history is None:
        return "", ""
    kind = deal["risks"][0]
    comment = last_change(history, "amount" if kind == "amount_cut" else "stage")
    return comment or last_touch(history), MOVES[kind].format(whom=person(history))


def _summary(asked: Asked) -> str:
    said = (
        f"{asked.figure('Deals at risk')} of {asked.figure('Open deals')} open deals are at risk:"
        f" {asked.figure('Of it at risk')} of {asked.figure('Open pipeline')}."
        f" To talk about first: {named(asked.deals[:FIRST], 'risks')}."
    )
    if common := most_common([kind for deal in asked.deals for kind in deal["risks"]]):
        kind, count = common
        said += f" Most often it is {kind.replace('_', ' ')}: {count} of the listed deals."
    return said


REVIEW = Review(
    opening="Review the risks of these open deals.",
    listed="deals",
    most=LOOKED_AT,
    judge=_judge,
    summary=_summary,
)
