from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from perdure.command.exits import ExitCode
from perdure.command.hidden import read_hidden
from perdure.command.output import Piece, Styled
from perdure.command.progress import SIGN, local
from perdure.command.root import root
from perdure.command.session import Session, by_itself, command, group
from perdure.command.spent import counted, dollars
from perdure.command.view import took
from perdure.errors import BadUsage

if TYPE_CHECKING:
    from perdure.llm import Config, SkillUsage, Trial, Usage

llm = group("llm", "Models: by whose keys, in which order, within which budget.")
root.add_typer(llm)
config = typer.Typer(name="config", help="Show which models answer, or change it.")
llm.add_typer(config)

TOKENS = re.compile(r"(\d[\d_,]*)([kKM]?)")
DEMO = "demo"
TIMES = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000}
NONE, DEFAULT = "none", "default"
Provider = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="Such as anthropic; `llm config` lists them.")
]
Tokens = Annotated[
    str, typer.Argument(metavar="TOKENS", help="A number, such as 500k or 5M; none is no limit.")
]


class Capability(StrEnum):
    EXTRACT = "extract"
    CLASSIFY = "classify"
    GENERATE = "generate"
    REASON = "reason"


@by_itself(config)
async def show_config(session: Session) -> None:
    """Show which models answer, by whose keys, within which limits; or change it."""
    async with session.client() as client:
        _show_config(session, await client.llm.config())


@command(config, "set-key")
async def set_key(session: Session, provider: Provider) -> None:
    """Use a key of the workspace's own; it is asked for, or read from stdin.

    It is never an argument, since others see those. The provider is asked whether it is good.
    """
    key = read_hidden(f"key for {provider}")
    async with session.client() as client:
        changed = await client.llm.set_key(provider, key)
    _tell(session, changed, f"{provider} is called with the workspace's own key")


@command(config, "remove-key")
async def remove_key(session: Session, provider: Provider) -> None:
    """Forget the workspace's own key; the platform's serves again, if there is one."""
    async with session.client() as client:
        changed = await client.llm.remove_key(provider)
    _tell(session, changed, f"the workspace's own key for {provider} is forgotten")


@command(config, "route")
async def route(
    session: Session,
    capability: Annotated[
        Capability, typer.Argument(metavar="CAPABILITY", help=", ".join(Capability))
    ],
    models: Annotated[
        str,
        typer.Argument(
            metavar="MODEL[,MODEL...]",
            help="provider/model; the next one answers where one cannot. Or: default.",
        ),
    ],
) -> None:
    """Choose which models do what."""
    chain = None if models == DEFAULT else [model.strip() for model in models.split(",")]
    async with session.client() as client:
        changed = await client.llm.route(capability, chain)
    chosen = ", then ".join(changed.routing.get(capability, ())) or "no model"
    _tell(session, changed, f"{capability} is done by {chosen}")


@command(config, "budget")
async def budget(session: Session, tokens: Tokens) -> None:
    """Limit the tokens of each month; runs that find none left wait for more."""
    most = tokens_of(tokens)
    async with session.client() as client:
        changed = await client.llm.set_budget(most)
    _tell(session, changed, f"the budget of a month is {_limit(changed.token_budget)}")


@command(config, "run-limit")
async def run_limit(session: Session, tokens: Tokens) -> None:
    """Limit the tokens of each run; one that needs more fails."""
    most = tokens_of(tokens)
    async with session.client() as client:
        changed = await client.llm.set_run_limit(most)
    _tell(session, changed, f"the limit of a run is {_limit(changed.run_max_tokens)}")


@command(llm, "test")
async def test(session: Session) -> ExitCode:
    """Ask the model of each capability for a word: does it answer, how soon, and why not?

    The exit code is 1 if one does not. With --admin it is the platform's keys that are tried.
    """
    async with session.client() as client:
        health = await client.llm.test()
    if session.form == "json":
        session.output.document(health.document())
    else:
        columns = ("", "CAPABILITY", "MODEL", "KEY", "TOOK", "WHY NOT")
        session.output.table(columns, map(_trial, health.capabilities))
    return ExitCode.OK if health.ok else ExitCode.FAILED


@command(llm, "usage")
async def usage(session: Session) -> None:
    """Show what this month's calls took of the budget, and which skills took it."""
    async with session.client() as client:
        _show_usage(session, await client.llm.usage())


@command(llm, "top-up")
async def top_up(
    session: Session,
    tokens: Annotated[str, typer.Argument(metavar="TOKENS", help="Such as 500k or 5M.")],
) -> None:
    """Add tokens to this month's budget; runs that wait for them go on."""
    more = tokens_of(tokens)
    if not more:
        raise BadUsage("expected how many tokens, such as 500k")
    async with session.client() as client:
        _show_usage(session, await client.llm.top_up(more))


def tokens_of(text: str) -> int | None:
    """None is no limit."""
    if text == NONE:
        return None
    match = TOKENS.fullmatch(text)
    if match is None:
        raise BadUsage(f"expected a number of tokens, such as 500k, or {NONE}; got {text!r}")
    return int(re.sub("[_,]", "", match[1])) * TIMES[match[2]]


def _tell(session: Session, changed: Config, sentence: str) -> None:
    if session.form == "json":
        session.output.document(changed.document())
    else:
        session.output.say(Styled("✓ ", "green"), sentence)


def _show_config(session: Session, shown: Config) -> None:
    output = session.output
    if session.form == "json":
        output.document(shown.document())
        return
    rows = [[each.provider, "yes" if each.connected else "no"] for each in shown.providers]
    output.table(("PROVIDER", "OWN KEY"), rows)
    output.say()
    routes = [
        [name, "here" if name in shown.overridden else "by default", ", then ".join(chain)]
        for name, chain in shown.routing.items()
    ]
    output.table(("CAPABILITY", "CHOSEN", "MODELS"), routes)
    if any(each.provider == DEMO for each in shown.providers):
        output.say("where nobody has a key, the demo model answers: `perdure llm test` shows who")
    output.say()
    _facts(
        session,
        ("month", _limit(shown.token_budget)),
        ("run", _limit(shown.run_max_tokens)),
    )


def _show_usage(session: Session, shown: Usage) -> None:
    output = session.output
    if session.form == "json":
        output.document(shown.document())
        return
    left = shown.tokens_remaining
    held, more, own = shown.tokens_reserved, shown.topped_up, shown.own_tokens
    _facts(
        session,
        ("month", shown.period),
        ("used", counted(shown.tokens_used)),
        ("held", f"{counted(held)} by calls under way" if held else ""),
        ("budget", _limit(shown.token_budget) + (f", {more:,} of them added" if more else "")),
        ("remaining", counted(left) if left is not None else ""),
        ("reached", ", ".join(f"{each.percent} % at {local(each.at)}" for each in shown.alerts)),
        ("own keys", f"{counted(own)}, which do not count" if own else ""),
        ("resets", local(shown.resets_at)),
    )
    if shown.by_skill:
        output.say()
        rows = [
            [each.skill_id, f"{each.calls:,}", f"{each.tokens:,}", _cost(each)]
            for each in shown.by_skill
        ]
        output.table(("SKILL", "CALLS", "TOKENS", "COST"), rows)


def _trial(trial: Trial) -> list[Piece]:
    return [
        SIGN["succeeded" if trial.ok else "failed"],
        trial.capability,
        trial.model or "",
        trial.key_source or "",
        took(trial.latency_ms),
        "" if trial.ok else trial.detail or "it gave no reason",
    ]


def _facts(session: Session, *facts: tuple[str, str]) -> None:
    for name, value in facts:
        if value:
            session.output.say(Styled(f"{name + ':':<11}", "dim"), value)


def _limit(tokens: int | None) -> str:
    return "no limit" if tokens is None else counted(tokens)


def _cost(usage: SkillUsage) -> str:
    if usage.cost is None:
        return "unknown" if usage.calls else ""
    rest = f" and {usage.unpriced_calls} of unknown cost" if usage.unpriced_calls else ""
    return f"{dollars(usage.cost)}{rest}"
