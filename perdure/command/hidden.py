"""What is never an argument, since others see those."""

from __future__ import annotations

import sys

from perdure.errors import BadUsage


def read_hidden(name: str) -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        value = getpass(f"{name} (not shown): ")
    else:
        try:
            value = sys.stdin.read()
        except UnicodeDecodeError:
            raise BadUsage(f"the {name} on stdin is not UTF-8 text") from None
        value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise BadUsage(f"the {name} is empty")
    return value
