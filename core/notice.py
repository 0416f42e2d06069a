from typing import Any

from core.model import Frozen


class Draft(Frozen):
    """What a channel would be sent, and what the step says of it afterwards."""

    payload: dict[str, Any]
    told: dict[str, Any]
