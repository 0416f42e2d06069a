from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from perdure.model import Answer


class Workspace(Answer):
    id: str
    name: str = ""
    timezone: str = "UTC"
    settings: dict[str, Any] = Field(default_factory=dict[str, Any])


class Key(Answer):
    id: str
    name: str = ""
    scopes: tuple[str, ...] = ()
    created_at: datetime | None = None


class NewKey(Key):
    """`key` is said this once."""

    key: str = Field(repr=False)


class Secret(Answer):
    """Without its value, which never comes back."""

    name: str
    allowed_hosts: tuple[str, ...] = ()


class WebhookSecret(Answer):
    """`whsec_…`, for any library of Standard Webhooks."""

    secret: str
    created_at: datetime | None = None
    previous_until: datetime | None = None


class Part(Answer):
    ok: bool
    detail: str = ""


class Readiness(Answer):
    """Whether runs can go on, and which part they lack."""

    ready: bool
    temporal: Part | None = None
    postgres: Part | None = None
    worker: Part | None = None

    @property
    def says_why(self) -> bool:
        return any(part and not part.ok for part in (self.temporal, self.postgres, self.worker))
