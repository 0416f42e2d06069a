"""Answers to the skill pipeline-hygiene, by rules on what was sent and what tools told."""

from __future__ import annotations

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

LOOKED_AT = 4
FIRST = 3


def _judge(deal: Deal, history: History | None) -> tuple[str, str]:
    if history is None:
        return "", ""
    kind, whom = deal["problems"][0], person(history)
    if kind == "slipped":
        return last_touch(
            history
        ), f"Ask {whom} for a date that holds, or take it out of the forecast."
    if kind == "stale":
        return last_touch(history), f"Call {whom} this week; without an answer, close it as lost."
    if kind == "pushed":
        return last_change(
            history, "close_date"
        ), f"Ask {whom} which date matters to them, and why."
    if kind == "no_next_step":
        return last_touch(history), f"Agree the next meeting with {whom}, and write it down."
    return last_touch(history), ""


def _summary(asked: Asked) -> str:
    first = named(asked.deals[:FIRST], "problems")
    said = (
        f"{asked.figure('Deals to clean up')} of {asked.figure('Open deals')} open deals need to be"
        f" cleaned up: {asked.figure('Of it to clean up')} of {asked.figure('Open pipeline')}."
        f" First come {first}."
    )
    if busiest := most_common([deal["owner"] for deal in asked.deals]):
        owner, count = busiest
        said += f" {owner} has most of them, {count}."
    return said


answer = Review(
    opening="Review the hygiene of these open deals.",
    listed="deals",
    most=LOOKED_AT,
    judge=_judge,
    summary=_summary,
).answer
