"""What a sync did, kind by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.command.follow import tell_end
from perdure.command.output import Styled
from perdure.command.tally import tally_of

if TYPE_CHECKING:
    from perdure.command.output import Output
    from perdure.run import Run

COLUMNS = ("TYPE", "READ", "WRITTEN", "DELETED", "UNCHANGED", "FAULTS")
FAULTS = 20


def tell_sync(output: Output, run: Run) -> None:
    if output.form == "json":
        output.document(run.document())
        return
    tell_end(output, run)
    told = run.output if isinstance(run.output, dict) else {}
    tallies = {kind: tally_of(each) for kind, each in (told.get("by_type") or {}).items()}
    if tallies:
        rows = [
            [kind, *(f"{count:,}" for count in (each.read, each.written, each.deleted,
                                               each.unchanged, each.faults))]
            for kind, each in tallies.items()
        ]  # fmt: skip
        output.table(COLUMNS, rows)
    elif run.status == "succeeded":
        output.note("  there was nothing to read: ", f"perdure sources check {run.label}")
    faults = told.get("faults") or []
    for fault in faults[:FAULTS]:
        output.note(Styled("✗ ", "red"), str(fault))
    left = sum(each.faults for each in tallies.values()) - len(faults[:FAULTS])
    if left > 0:
        output.note(f"  … and {left:,} more: `perdure runs show {run.run_id} --json`")
