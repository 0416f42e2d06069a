"""Answers to the skill weekly-recap, by rules on what was sent and what tools told."""

from __future__ import annotations

from dev.demo.reviews import (
    Asked,
    Deal,
    History,
    Review,
    last_touch,
    named,
    person,
)

LOOKED_AT = 4


def _judge(deal: Deal, history: History | None) -> tuple[str, str]:
    if history is None:
        return "", ""
    kind, whom = deal["events"][0], person(history)
    if kind in ("slipped", "pushed"):
        return last_touch(history), f"Ask {whom} for a date that holds."
    if kind == "closing":
        return last_touch(history), f"Confirm with {whom} what is still missing."
    return last_touch(history), ""


def _summary(asked: Asked) -> str:
    said = f"Won this week: {_deals(asked, 'won')}; lost: {_deals(asked, 'lost')};"
    said += f" new: {asked.figure('New deals')}."
    if "Quota" in asked.figures:
        said += f" Of the quota of {asked.figure('Quota')}, {asked.figure('Of it won')} is won."
    said += f" Expected this quarter: {asked.figure('Expected this quarter')}."
    if bad := [deal for deal in asked.deals if deal["events"][0] in ("lost", "slipped", "pushed")]:
        said += f" Worst: {named(bad[:1], 'events')}."
    if due := [deal for deal in asked.deals if "closing" in deal["events"]]:
        said += f" Should close next: {named(due[:2], 'events')}."
    return said


def _deals(asked: Asked, what: str) -> str:
    count, amount = asked.figure(f"Deals {what}"), asked.figures.get(what.capitalize())
    return f"{count} ({amount})" if amount else count


answer = Review(
    opening="Write the recap of the week",
    listed="events",
    most=LOOKED_AT,
    judge=_judge,
    summary=_summary,
).answer
