from __future__ import annotations

from contextlib import aclosing

from perdure.command.check import Check
from perdure.command.checks import examine
from perdure.command.exits import ExitCode
from perdure.command.output import Styled
from perdure.command.root import root
from perdure.command.session import Session, command

SIGN = {
    True: Styled("✓ ", "green"),
    False: Styled("✗ ", "red"),
}


@command(root, "doctor")
async def doctor(session: Session) -> ExitCode:
    """Find what is wrong here, and say how to mend it.

    The exit code is 1 if anything is.
    """
    checks: list[Check] = []
    async with aclosing(examine(session)) as found:
        async for check in found:
            checks.append(check)
            if session.form == "text":
                _print(session, check)
    healthy = all(check.ok for check in checks)
    if session.form == "json":
        session.output.document({"ok": healthy, "checks": [check.document() for check in checks]})
    elif healthy:
        session.output.say("all is well")
    return ExitCode.OK if healthy else ExitCode.FAILED


def _print(session: Session, check: Check) -> None:
    session.output.say(SIGN[check.ok], Styled(check.name, "bold"), f": {check.said}")
    if check.mend:
        session.output.say(f"    → {check.mend}")
    session.output.flush()
