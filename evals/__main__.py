"""`python -m evals SKILL`: runs a revenue skill, and holds its report against the data."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.report import Report
from evals.planted import planted
from evals.score import Score, Truth, score
from evals.truth import OF_SKILL, Data
from perdure import Client
from store.pool import open_pool

MOST_LINES = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m evals", description=__doc__)
    parser.add_argument("skill", choices=sorted(OF_SKILL))
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--run", metavar="RUN", help="score this run instead of a new one")
    given.add_argument("--report", metavar="FILE", type=Path, help="score a report in a file")
    parser.add_argument("--workspace", help="whose data the report in the file is of")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    wanted = parser.parse_args()
    found = asyncio.run(_scored(wanted))
    if wanted.json:
        sys.stdout.write(json.dumps(found.as_json(), indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(lines(found)) + "\n")
    return 0 if found.passed else 1


async def _scored(wanted: argparse.Namespace) -> Score:
    if wanted.report is not None:
        output, inputs = json.loads(wanted.report.read_text("utf-8")), {}
        workspace = wanted.workspace or "demo"
    else:
        async with Client(workspace=wanted.workspace) as client:
            workspace = client.connection.workspace or ""
            run = await (client.runs.get(wanted.run) if wanted.run else client.run(wanted.skill))
        output, inputs = run.output, run.inputs or {}
    report = Report.read(output)
    if report is None:
        raise SystemExit(f"that is no report: {json.dumps(output)[:300]}")
    return await scored(wanted.skill, report, inputs, workspace, database())


async def scored(
    skill: str, report: Report, inputs: dict[str, Any], workspace: str, dsn: str
) -> Score:
    async with await open_pool(dsn) as pool:
        truth = await OF_SKILL[skill](Data(pool, workspace), inputs, report)
    known = planted(truth.cards, datetime.now(UTC).date()) if _whole(inputs) else {}
    return score(report, _with(truth, known))


def _whole(inputs: dict[str, Any]) -> bool:
    """Nothing is planted by other thresholds, or in a part of the pipeline."""
    return not any(inputs.get(name) for name in ("pipeline", "owner", "segment"))


def _with(truth: Truth, known: dict[str, frozenset[str]]) -> Truth:
    if set(truth.of_kind) & {"won", "closing"}:  # a recap tells of events, not of problems
        return truth
    return replace(truth, planted={kind: known[kind] for kind in truth.of_kind if kind in known})


def database() -> str:
    """As the environment names it, or as the nearest `make up` has it."""
    if dsn := os.environ.get("DATABASE_URL"):
        return dsn
    home = Path(os.environ.get("PERDURE_HOME", ".perdure"))
    for line in (home / "environment").read_text("utf-8").splitlines():
        name, _, value = line.partition("=")
        if name == "DATABASE_URL":
            return shlex.split(value)[0]
    raise SystemExit("DATABASE_URL is not set")


def lines(found: Score) -> list[str]:
    told = ["", f"{'':18}{'true':>6}{'found':>7}"]
    for title, kinds in (("", found.kinds), ("planted: ", found.planted)):
        told += [
            f"{title + kind:26}{each.expected:>6}{each.found:>7}  {each.share:>5.0%}"
            for kind, each in kinds.items()
        ]
    for what in ("invented", "wrong", "unlinked"):
        each = getattr(found, what)
        told.append(f"{what:26}{len(each):>6}")
        told += [f"  {line}" for line in each[:MOST_LINES]]
    return [*told, "", "passed" if found.passed else "not passed"]


if __name__ == "__main__":
    sys.exit(main())
