from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dev import home, ports, postgres

if TYPE_CHECKING:
    from pathlib import Path

    from dev.home import Home, Keys

DATABASE = "perdure"
NAMESPACE = "perdure"
PROVIDER_KEYS = ("ANTHROPIC_API_KEY", "FIREWORKS_API_KEY", "OPENAI_API_KEY")
DEMO_DATA = "PERDURE_DEMO_DATA"
PORT, TEMPORAL_PORT, UI_PORT = "PERDURE_PORT", "PERDURE_TEMPORAL_PORT", "PERDURE_TEMPORAL_UI_PORT"

Worker = Literal["here", "elsewhere"]
DemoData = Literal["at first", "never"]


@dataclass(frozen=True)
class Plan:
    """What to start here; what the environment names elsewhere is used as it is."""

    home: Path
    worker: Worker
    ports: dict[str, int]
    database_url: str | None
    temporal_address: str | None
    namespace: str
    # Where the demo model answers, which it does only while no provider's key is set.
    demo_port: int | None
    demo_data: DemoData

    @classmethod
    def from_environment(cls, worker: Worker) -> Plan:
        temporal_address = os.environ.get("TEMPORAL_ADDRESS") or None
        own = {PORT: ports.chosen(PORT, 8000)}
        if temporal_address is None:
            own[TEMPORAL_PORT] = ports.chosen(TEMPORAL_PORT, 7233)
            own[UI_PORT] = ports.chosen(UI_PORT, 8233)
        ports.require_different(own)
        return cls(
            home=home.chosen(),
            worker=worker,
            ports=own,
            database_url=os.environ.get("DATABASE_URL") or None,
            temporal_address=temporal_address,
            namespace=os.environ.get("TEMPORAL_NAMESPACE") or NAMESPACE,
            demo_data="never" if os.environ.get(DEMO_DATA) == "0" else "at first",
            demo_port=None if any(map(os.environ.get, PROVIDER_KEYS)) else ports.free(),
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[PORT]}"

    @property
    def ui_url(self) -> str:
        own = f"http://127.0.0.1:{self.ports[UI_PORT]}" if UI_PORT in self.ports else ""
        return own or os.environ.get("PERDURE_TEMPORAL_UI_URL", "")

    def settings(self, mine: Home, keys: Keys) -> dict[str, str]:
        """What a gateway or a worker must be told to belong to this installation."""
        own_temporal = f"127.0.0.1:{self.ports.get(TEMPORAL_PORT)}"
        own = {
            "PERDURE_ENCRYPTION_KEYS": keys.encryption,
            "PERDURE_ADMIN_KEY": keys.admin,
            "PERDURE_CODEC_TOKEN": keys.codec,
        }
        settings = {
            "DATABASE_URL": self.database_url or postgres.dsn(mine.postgres, DATABASE),
            "TEMPORAL_ADDRESS": self.temporal_address or own_temporal,
            "TEMPORAL_NAMESPACE": self.namespace,
            "PERDURE_HOME": str(mine.path),
            PORT: str(self.ports[PORT]),
            "PERDURE_TEMPORAL_UI_URL": self.ui_url,
            "PERDURE_PUBLIC_URL": os.environ.get("PERDURE_PUBLIC_URL") or self.url,
            **{name: os.environ.get(name) or value for name, value in own.items()},
        }
        if self.demo_port is not None:
            settings["PERDURE_DEMO"] = "1"
            settings["PERDURE_DEMO_URL"] = f"http://127.0.0.1:{self.demo_port}"
        return settings

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        # A database of the user's own may need what PG* says.
        inherited = dict(os.environ) if self.database_url else postgres.without_pg()
        return inherited | settings | {"PYTHONUNBUFFERED": "1"}
