from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal


@dataclass(frozen=True)
class FieldFault:
    field: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong in a skill's bundle, and where."""

    file: str
    line: int | None = None
    column: int | None = None
    message: str
    severity: Literal["error", "warning"] = "error"

    @property
    def place(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


class PerdureError(Exception):
    """`code` is stable; `detail` is a sentence for the reader."""

    code: str = "error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def document(self) -> dict[str, Any]:
        return {"code": self.code, "detail": self.detail}


class NotConfigured(PerdureError):
    """No gateway, key or workspace was named, and none was found."""

    code = "not_configured"


class BadUsage(PerdureError):
    """What was typed cannot be meant."""

    code = "usage"


class Unreachable(PerdureError):
    """Nothing answered."""

    code = "unreachable"


class NotUnderstood(Unreachable):
    """Something answered that is no gateway, or one of another version."""

    code = "not_understood"


class BadBundle(PerdureError):
    """A folder that cannot be sent as a skill."""

    code = "bad_bundle"


class Refused(PerdureError):
    """The gateway said no: an RFC 9457 problem."""

    UNREADY: ClassVar = frozenset({502, 503, 504})

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        title = _text(problem.get("title")) or f"HTTP status {status}"
        super().__init__(_text(problem.get("detail")) or title)
        self.status = status
        self.code = _text(problem.get("code")) or f"http_{status}"
        self.title = title
        self.errors = [
            FieldFault(_text(error.get("field")), _text(error.get("message")))
            for error in _objects(problem.get("errors"))
        ]
        self.faults = [_fault(fault) for fault in _objects(problem.get("faults"))]
        self._problem = problem

    def document(self) -> dict[str, Any]:
        return {"status": self.status} | self._problem | super().document()


def _fault(fault: dict[str, Any]) -> Fault:
    line, column = fault.get("line"), fault.get("column")
    return Fault(
        file=_text(fault.get("file")),
        message=_text(fault.get("message")),
        line=line if isinstance(line, int) else None,
        column=column if isinstance(column, int) else None,
        severity="warning" if fault.get("severity") == "warning" else "error",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
