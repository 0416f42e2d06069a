import asyncio
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.effects import ToolRequest
from core.errors import Unavailable
from core.template import SecretPart

HIDDEN = "***"
ASK_AGAIN_AFTER_SECONDS = 1.0


class OpenSecret(Protocol):
    @property
    def value(self) -> str: ...
    @property
    def allowed_hosts(self) -> frozenset[str]: ...


class SecretSource(Protocol):
    async def open(self, workspace: str, name: str) -> OpenSecret:
        """Raises SecretMissing, and Unavailable for now."""
        ...


@dataclass
class OpenedSecrets:
    """Arguments with the secrets in their places; `hosts` says where each place may go."""

    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    hosts: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    values: tuple[str, ...] = ()

    def hide_in(self, value: Any) -> Any:
        """A receiver may echo a secret; it must not reach the history that way."""
        if not self.values:
            return value
        match value:
            case str():
                for secret in self.values:
                    value = value.replace(secret, HIDDEN)
                return value
            case list() | tuple():
                return [self.hide_in(each) for each in value]
            case dict():
                return {self.hide_in(key): self.hide_in(each) for key, each in value.items()}
            case _:
                return value


async def open_secrets(source: SecretSource, request: ToolRequest) -> OpenedSecrets:
    if not request.secrets:
        return OpenedSecrets(request.arguments)
    arguments = copy.deepcopy(request.arguments)
    hosts: dict[str, frozenset[str]] = {}
    values: list[str] = []
    for use in request.secrets:
        text = ""
        bound: frozenset[str] | None = None
        for part in use.parts:
            if isinstance(part, SecretPart):
                secret = await opened(source, request.context.workspace, part.secret)
                values.append(secret.value)
                text += secret.value
                both = secret.allowed_hosts if bound is None else bound & secret.allowed_hosts
                bound = both
            else:
                text += part
        put(arguments, use.pointer, text)
        hosts[use.pointer] = bound if bound is not None else frozenset()
    values.sort(key=len, reverse=True)
    return OpenedSecrets(arguments, hosts, tuple(value for value in values if value))


async def opened(source: SecretSource, workspace: str, name: str) -> OpenSecret:
    """Waits for a store that is away: that is no failure of the step, and costs no attempt."""
    while True:
        try:
            return await source.open(workspace, name)
        except Unavailable:
            await asyncio.sleep(ASK_AGAIN_AFTER_SECONDS)


def put(value: Any, pointer: str, text: str) -> None:
    """Replaces what a JSON pointer (RFC 6901) names."""
    *way, last = [
        part.replace("~1", "/").replace("~0", "~") for part in pointer.removeprefix("/").split("/")
    ]
    for part in way:
        value = value[int(part)] if isinstance(value, list) else value[part]
    if isinstance(value, list):
        value[int(last)] = text
    else:
        value[last] = text
