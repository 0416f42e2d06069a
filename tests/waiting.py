"""Tests wait on conditions: they take as long as the machine does, and no longer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LOOK_EVERY = 0.02  # seconds
WITHIN = 20.0  # seconds


def wait_until(holds: Callable[[], T], within: float = WITHIN) -> T:
    end = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < end, f"still not so after {within} s"
        time.sleep(LOOK_EVERY)
    return found


async def until(holds: Callable[[], T], within: float = WITHIN) -> T:
    end = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < end, f"still not so after {within} s"
        await asyncio.sleep(LOOK_EVERY)
    return found
