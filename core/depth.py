from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 100  # payloads decode up to about 200 levels, and one more value may be put around


def too_deep(value: Any) -> bool:
    """Whether lists and maps are nested deeper than a payload may be."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for each in level for inner in _inner(each)]
        if not level:
            return False
    return True


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
