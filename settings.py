"""What the gateway and the worker are told by their environment, read once."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.effects import ModelQueue

HERE = Path(__file__).resolve().parent
KEY_BYTES = 32
DEFAULT_PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432}
KEYS_EXPECTED = (
    "expected id:key, or several with commas between them and the newest first, "
    f"each key {KEY_BYTES} bytes in base64"
)


class BadSettings(Exception):
    """One line for each setting that is missing or wrong; never its value."""


def encryption_keys(text: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in text.split(","):
        name, _, encoded = part.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(KEYS_EXPECTED) from None
        if not name.isidentifier() or len(key) != KEY_BYTES or name in keys:
            raise ValueError(KEYS_EXPECTED)
        keys[name] = key
    return keys


def _readable_keys(secret: SecretStr) -> SecretStr:
    encryption_keys(secret.get_secret_value())
    return secret


def _postgres(secret: SecretStr) -> SecretStr:
    if urlsplit(secret.get_secret_value()).scheme not in ("postgres", "postgresql"):
        raise ValueError("expected postgresql://user@host/database")
    return secret


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("expected host:port")
    return text


def _web(text: str) -> str:
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname:
        raise ValueError("expected http://host or https://host")
    return text.rstrip("/")


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 16:
        raise ValueError("expected at least 16 characters")
    return secret


def _listed(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


WebAddress = Annotated[str, AfterValidator(_web)]
Unguessable = Annotated[SecretStr, AfterValidator(_long_enough)]
Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: Annotated[SecretStr, AfterValidator(_postgres)] = Field(
        validation_alias="DATABASE_URL"
    )
    temporal_address: Annotated[str, AfterValidator(_address)] = Field(
        "127.0.0.1:7233", validation_alias="TEMPORAL_ADDRESS"
    )
    temporal_namespace: str = Field("perdure", validation_alias="TEMPORAL_NAMESPACE")
    temporal_api_key: SecretStr | None = Field(None, validation_alias="TEMPORAL_API_KEY")
    temporal_tls: bool | None = Field(None, validation_alias="TEMPORAL_TLS")
    temporal_ui_url: WebAddress | None = Field(None, validation_alias="PERDURE_TEMPORAL_UI_URL")
    encryption: Annotated[SecretStr, AfterValidator(_readable_keys)] = Field(
        validation_alias="PERDURE_ENCRYPTION_KEYS"
    )
    host: str = Field("127.0.0.1", validation_alias="PERDURE_HOST")
    public_url: WebAddress | None = Field(None, validation_alias="PERDURE_PUBLIC_URL")
    port: int = Field(8000, ge=0, le=65535, validation_alias="PERDURE_PORT")
    admin_key: Unguessable | None = Field(None, validation_alias="PERDURE_ADMIN_KEY")
    codec_token: Unguessable | None = Field(None, validation_alias="PERDURE_CODEC_TOKEN")
    http_allowed_hosts: Listed = Field((), validation_alias="PERDURE_HTTP_ALLOWED_HOSTS")
    skills: Path = Field(HERE / "skills", validation_alias="PERDURE_SKILLS")
    home: Path = Field(Path(".perdure"), validation_alias="PERDURE_HOME")
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: WebAddress | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")
    fireworks_api_key: SecretStr | None = Field(None, validation_alias="FIREWORKS_API_KEY")
    fireworks_base_url: WebAddress | None = Field(None, validation_alias="FIREWORKS_BASE_URL")
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: WebAddress | None = Field(None, validation_alias="OPENAI_BASE_URL")
    demo: bool = Field(default=False, validation_alias="PERDURE_DEMO")
    demo_address: WebAddress | None = Field(None, validation_alias="PERDURE_DEMO_URL")
    archive_after: int = Field(300, ge=0, le=86_400, validation_alias="PERDURE_ARCHIVE_AFTER")
    model_queue: ModelQueue = Field("shared", validation_alias="PERDURE_MODEL_QUEUE")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias="PERDURE_LOG_LEVEL"
    )

    @property
    def address(self) -> str:
        """Where people and other systems reach the gateway."""
        anywhere = self.host in ("0.0.0.0", "::")
        host = "127.0.0.1" if anywhere else f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def keys(self) -> dict[str, bytes]:
        return encryption_keys(self.encryption.get_secret_value())

    @property
    def api_key(self) -> str | None:
        return self.temporal_api_key.get_secret_value() if self.temporal_api_key else None

    @property
    def platform_keys(self) -> dict[str, str]:
        """Keys of the installation, by provider; they serve workspaces that have none."""
        given = {
            "anthropic": self.anthropic_api_key,
            "fireworks": self.fireworks_api_key,
            "openai": self.openai_api_key,
        }
        return {name: key.get_secret_value() for name, key in given.items() if key}

    @property
    def demo_url(self) -> str | None:
        return self.demo_address if self.demo else None

    @property
    def base_urls(self) -> dict[str, str]:
        given = {
            "anthropic": self.anthropic_base_url,
            "fireworks": self.fireworks_base_url,
            "openai": self.openai_base_url,
        }
        return {name: url for name, url in given.items() if url}

    @property
    def own_endpoints(self) -> frozenset[tuple[str, int]]:
        """Where this installation itself listens: tools never call there."""
        urls = (self.database_url.get_secret_value(), self.temporal_ui_url or "")
        host, _, port = self.temporal_address.rpartition(":")
        mine = {(self.host, self.port), (host, int(port)), *map(_endpoint, urls)}
        return frozenset(endpoint for endpoint in mine if endpoint is not None)


def _endpoint(url: str) -> tuple[str, int] | None:
    """None for a Unix socket, and for a list of hosts that only Postgres understands."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None


def load() -> Settings:
    """Raises BadSettings; its text is fit to be printed."""
    try:
        return Settings()  # pyright: ignore[reportCallIssue] - the environment fills it
    except ValidationError as error:
        raise BadSettings("\n".join(_lines(error))) from None


def _lines(error: ValidationError) -> list[str]:
    return [
        f"{fault['loc'][0]} is missing: docs/configuration.md says what it is"
        if fault["type"] == "missing"
        else f"{fault['loc'][0]} is wrong: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]
