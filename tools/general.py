from typing import Any

from core.model import Frozen
from core.tool import ToolContext
from tools.registry import tool


class Echo(Frozen):
    value: Any


@tool("read")
async def echo(arguments: Echo, _: ToolContext) -> Any:
    """Return `value` unchanged, whatever JSON it is."""
    return arguments.value
