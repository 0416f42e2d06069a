"""A request that breaks a rule of the wire, which is named in brackets."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    def __init__(self, rule: str, says: str) -> None:
        super().__init__(f"[{rule}] {says}")
        self.rule = rule


def insist(holds: object, rule: str, says: str) -> None:
    if not holds:
        raise Refused(rule, says)


def known_only(body: dict[str, Any], known: frozenset[str]) -> None:
    strangers = sorted(set(body) - known)
    insist(not strangers, "unknown-parameter", f"{', '.join(strangers)}: not permitted")
