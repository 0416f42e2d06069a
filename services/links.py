from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Links:
    """Where to see more of a run. Without an address of the gateway, `run` is a path on it."""

    namespace: str
    ui: str | None = None
    gateway: str | None = None

    def of(self, run_id: str) -> dict[str, str]:
        links = {"run": f"{self.gateway or ''}/api/runs/{run_id}"}
        if self.ui is not None:
            namespace = quote(self.namespace, safe="")
            links["temporal_ui"] = f"{self.ui}/namespaces/{namespace}/workflows/{run_id}"
        return links
