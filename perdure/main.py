from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.command.output import Output
    from perdure.errors import PerdureError

ADMIN_HINT = "this needs more than the workspace's key may: add --admin"


def main() -> None:
    sys.exit(carry_out(sys.argv[1:]))


def carry_out(arguments: list[str]) -> int:
    """The exit code; everything a person can get wrong ends in a sentence, not a traceback."""
    from perdure.command.exits import ExitCode
    from perdure.command.output import Output
    from perdure.command.session import JSON_OPTION
    from perdure.errors import PerdureError

    for stream in (sys.stdout, sys.stderr):
        _forgive(stream)
    output = Output("json" if JSON_OPTION in arguments else "text")
    try:
        code = _call(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except PerdureError as error:
        return _explain(output, error, arguments)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our answer has enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    return code


def _call(arguments: list[str]) -> int:
    from typer import Abort
    from typer.exceptions import TyperException

    from perdure.command.app import root
    from perdure.errors import BadUsage

    try:
        code: Any = root(args=arguments, prog_name="perdure", standalone_mode=False)
    except Abort:
        raise KeyboardInterrupt from None
    except TyperException as error:
        context: Any = getattr(error, "ctx", None)
        help_of = f" (see `{context.command_path} --help`)" if context else ""
        message = error.format_message()
        if message.startswith("Usage: "):  # no arguments at all: the message is the help
            sys.stdout.write(message + "\n")
            return error.exit_code
        raise BadUsage(f"{message.rstrip('.')}{help_of}") from None
    return int(code or 0)


def _explain(output: Output, error: PerdureError, arguments: list[str]) -> int:
    from perdure.command.exits import exit_code_of
    from perdure.command.session import ADMIN_OPTION
    from perdure.errors import Refused

    code = exit_code_of(error)
    forbidden = isinstance(error, Refused) and error.status == 403
    hint = ADMIN_HINT if forbidden and ADMIN_OPTION not in arguments else None
    output.error(error, code, hint)
    sys.stderr.flush()
    return code


def _forgive(stream: Any) -> None:
    """A terminal that knows no ✓ gets a ?, not a traceback."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")


if __name__ == "__main__":
    main()
