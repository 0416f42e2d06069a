from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from perdure.errors import BadBundle, BadUsage, NotConfigured, Refused, Unreachable

if TYPE_CHECKING:
    from perdure.errors import PerdureError


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    UNREADY = 3
    CANCELLED = 4
    TIMED_OUT = 5
    INTERRUPTED = 130


OF_STATUS = {
    "succeeded": ExitCode.OK,
    "failed": ExitCode.FAILED,
    "cancelled": ExitCode.CANCELLED,
    "timed_out": ExitCode.TIMED_OUT,
}


def exit_code_of(error: PerdureError) -> ExitCode:
    match error:
        case Unreachable() | NotConfigured():
            return ExitCode.UNREADY
        case BadUsage() | BadBundle():
            return ExitCode.USAGE
        case Refused() if error.status in Refused.UNREADY:
            return ExitCode.UNREADY
        case Refused(status=422) if not error.faults:
            return ExitCode.USAGE
        case _:
            return ExitCode.FAILED
