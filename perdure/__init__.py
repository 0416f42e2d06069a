"""The Python client of a Perdure gateway; the `perdure` command stands on it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.client import Client as Client
    from perdure.errors import NotConfigured as NotConfigured
    from perdure.errors import PerdureError as PerdureError
    from perdure.errors import Refused as Refused
    from perdure.errors import Unreachable as Unreachable
    from perdure.run import LogEvent as LogEvent
    from perdure.run import Run as Run

# Imported when first asked for: the HTTP client and pydantic take 0.25 s, and `perdure --help`
# needs neither.
_HOMES = {
    "Client": "perdure.client",
    "LogEvent": "perdure.run",
    "NotConfigured": "perdure.errors",
    "PerdureError": "perdure.errors",
    "Refused": "perdure.errors",
    "Run": "perdure.run",
    "Unreachable": "perdure.errors",
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'perdure' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
