"""docs/webhooks.md says how to verify a signature: so done, it works."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.callback import headers_of, secret_as_text

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
SECRET, OTHER = bytes(range(32)), bytes(32)
BODY = '{"type":"run.succeeded","data":{"output":"größer"}}'.encode()


@pytest.fixture
def is_from_perdure() -> Any:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    known: dict[str, Any] = {}
    exec(code, known)
    return known["is_from_perdure"]


def headers(*secrets: bytes, ago: timedelta = timedelta()) -> dict[str, str]:
    return headers_of("talk-1", datetime.now(UTC) - ago, BODY, secrets)


@pytest.mark.parametrize("secrets", [(SECRET,), (SECRET, OTHER), (OTHER, SECRET)])
def test_a_callback_is_known(is_from_perdure: Any, secrets: tuple[bytes, ...]) -> None:
    assert is_from_perdure(secret_as_text(SECRET), headers(*secrets), BODY)


def test_anything_else_is_not(is_from_perdure: Any) -> None:
    secret = secret_as_text(SECRET)
    assert not is_from_perdure(secret, headers(OTHER), BODY)
    assert not is_from_perdure(secret, headers(SECRET), BODY + b" ")
    assert not is_from_perdure(secret, headers(SECRET) | {"webhook-id": "talk-2"}, BODY)
    assert not is_from_perdure(secret, headers(SECRET, ago=timedelta(minutes=6)), BODY)
