"""What somebody outside is told of a run's end, in the format of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from core.model import Frozen
from core.run import Run

MAX_BODY = 256 * 1024
ANSWER_WITHIN = timedelta(seconds=20)
FIRST_BACKOFF = timedelta(seconds=1)  # doubles with each try
LONGEST_BACKOFF = timedelta(hours=1)
TRIED_FOR = timedelta(days=3)
GONE = 410  # a receiver that wants no more of it
PREFIX = "whsec_"


class CallbackRequest(Frozen):
    """Whose end is told; where to, and with which secret, is never in a history."""

    run: str
    workspace: str


class CallbackAnswer(Frozen):
    """None: there was nothing left to tell."""

    status: int | None


class CallbackOutcome(Frozen):
    request: CallbackRequest
    status: Literal["delivered", "gave_up"]
    error: str | None = None


def body_of(run: Run, links: Mapping[str, str]) -> bytes:
    """The same for each try. An output that makes it too long is left out, and said to be."""
    told = _told(run, links)
    body = _json(told)
    if len(body) > MAX_BODY:
        told["data"] |= {"output": None, "output_omitted": True}
        body = _json(told)
    if len(body) > MAX_BODY and run.error is not None:
        told["data"]["error"]["data"] = {}
        body = _json(told)
    return body


def headers_of(run_id: str, at: datetime, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The id is the run's, whichever try it is: by it a receiver knows a repetition."""
    moment = str(int(at.timestamp()))
    signed = f"{run_id}.{moment}.".encode() + body
    return {
        "content-type": "application/json",
        "webhook-id": run_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def secret_as_text(secret: bytes) -> str:
    return PREFIX + base64.b64encode(secret).decode()


def _told(run: Run, links: Mapping[str, str]) -> dict[str, Any]:
    if run.completed_at is None:
        raise ValueError(f"{run.run_id} has not ended")
    known = run.model_dump(
        mode="json",
        include={
            *("run_id", "workspace_id", "skill", "label", "status", "lineage", "retry_of"),
            *("output", "error", "token_usage", "cost"),
            *("started_at", "completed_at", "duration_ms"),
        },
    )
    return {
        "type": f"run.{run.status}",
        "timestamp": known["completed_at"],
        "data": {**known, "output_omitted": False, "links": dict(links)},
    }


def _signature(secret: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace")
