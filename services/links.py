from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from services.report_tokens import ReportTokens


@dataclass(frozen=True)
class Links:
    """Where to see more of a run. Without an address of the gateway, these are paths on it."""

    namespace: str
    ui: str | None = None
    gateway: str | None = None
    tokens: ReportTokens | None = None

    def of(self, run_id: str) -> dict[str, str]:
        links = {"run": f"{self.gateway or ''}/api/runs/{run_id}"}
        if self.tokens is not None:
            links["report"] = f"{links['run']}/report?token={self.tokens.make(run_id)}"
        if self.ui is not None:
            namespace = quote(self.namespace, safe="")
            links["temporal_ui"] = f"{self.ui}/namespaces/{namespace}/workflows/{run_id}"
        return links

    def report(self, run_id: str) -> str | None:
        """For people who come without a key."""
        return self.of(run_id).get("report")
