"""Answers to the skill weekly-recap, by rules on what was sent and what tools told."""

from __future__ import annotations

from dev.demo.reviews import (
    Asked,
    Deal,
    History,
    Review,
    last_change,
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
        return last_change(history, "close_date"), f"Ask {whom} for a date that holds."
    if kind == "closing":
        return last_touch(history), f"Confirm with {whom} what is still missing."
    return last_touch(history), ""


def _summary(asked: Asked) -> str:
    won, lost = asked.figure("Deals won"), asked.figure("Deals lost")
    said = f"The week brought {won} won ({asked.figure('Won')}) and {lost} lost deals"
    said += f" ({asked.figure('Lost')}), and {asked.figure('New deals')} new ones."
    if quota := [value for label, value in asked.figures.items() if label.startswith("Quota")]:
        said += f" {quota[0]} of the quota is reached."
    said += f" Expected this quarter: {asked.figure('Expected this quarter')}."
    if bad := [deal for deal in asked.deals if deal["events"][0] in ("lost", "slipped", "pushed")]:
        said += f" Worst: {named(bad[:1], 'events')}."
    if due := [deal for deal in asked.deals if "closing" in deal["events"]]:
        said += f" Next week decides on {len(due)} deals, of them {named(due[:1], 'events')}."
    return said


answer = Review(
    opening="Write the recap of the week",
    listed="events",
    most=LOOKED_AT,
    judge=_judge,
    summary=_summary,
).answer
