"""Where a database is, and the way to it; its password is in no message."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import asyncpg

from core.errors import SecretNotAllowed, SourceRefused, SourceUnavailable
from core.faults import near
from outbound import HostPattern

if TYPE_CHECKING:
    from collections.abc import Collection

    from outbound import Guard

TLS = Literal["disable", "require", "verify-full"]
PORT = 5432
CONNECT_WITHIN_SECONDS = 10
STATEMENT_TIMEOUT_SECONDS = 120
FORM = "expected postgresql://user:password@host:port/database"


@dataclass(frozen=True)
class Address:
    host: str
    port: int
    user: str
    database: str
    tls: TLS
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, dsn: str, secret: str) -> Address:
        """Of what the driver would read from its surroundings, nothing is."""
        try:
            parts = urlsplit(dsn.strip())
            port = parts.port or PORT
        except ValueError:
            raise SourceRefused(f"the secret {secret}: {FORM}") from None
        database = unquote(parts.path.removeprefix("/"))
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
            raise SourceRefused(f"the secret {secret}: {FORM}")
        if not user or not database or "/" in database:
            raise SourceRefused(f"the secret {secret}: {FORM}")
        return cls(parts.hostname, port, user, database, _tls(parts, secret), password)

    def require_meant_for(self, allowed: Collection[str], secret: str) -> None:
        if not any(HostPattern.parse(each).matches(self.host, self.port) for each in allowed):
            raise SecretNotAllowed(
                f"the secret {secret} is not meant for {self.host}:{self.port}:"
                " name it in the secret's allowed_hosts"
            )

    async def connect(self, guard: Guard) -> asyncpg.Connection:
        """To an address that was looked up and admitted now, under the host's own name."""
        try:
            addresses = await guard.admit(self.host, self.port)
        except (OSError, UnicodeError):
            raise SourceUnavailable(f"the name {self.host} does not resolve") from None
        for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
            try:
                return await self._connect(address)
            except (OSError, TimeoutError) as error:
                if not left:
                    raise SourceUnavailable(
                        f"{self.host}:{self.port} could not be reached ({type(error).__name__})"
                    ) from None
        raise SourceUnavailable(f"the name {self.host} has no address")

    async def _connect(self, address: str) -> asyncpg.Connection:
        context = None if self.tls == "disable" else _NamedContext.of(self.host, self.tls)
        try:
            return await asyncpg.connect(
                host=address,
                port=self.port,
                user=self.user,
                # Not None: then the driver would look for one in files of this machine.
                password=self.password,
                database=self.database,
                ssl=context or False,
                timeout=CONNECT_WITHIN_SECONDS,
                command_timeout=STATEMENT_TIMEOUT_SECONDS + 5,
                server_settings={
                    "application_name": "perdure",
                    "default_transaction_read_only": "on",
                    "statement_timeout": str(STATEMENT_TIMEOUT_SECONDS * 1000),
                    "idle_in_transaction_session_timeout": "60000",
                    "timezone": "UTC",
                    "datestyle": "ISO",
                },
            )
        except ssl.SSLError as error:
            raise SourceRefused(f"TLS with {self.host} failed: {error.reason}") from None
        except asyncpg.InvalidAuthorizationSpecificationError:
            raise SourceRefused(f"{self.host} refused the user or the password") from None
        except asyncpg.InvalidCatalogNameError:
            raise SourceRefused(f"{self.host} has no database of that name") from None
        except ConnectionError as error:
            if "rejected SSL upgrade" in str(error):
                raise SourceRefused(
                    f"{self.host} speaks no TLS: add ?sslmode=disable where that is meant"
                ) from None
            raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise SourceUnavailable(
                f"{self.host} does not let us in now ({type(error).__name__})"
            ) from None


class _NamedContext(ssl.SSLContext):
    """Verifies the host's name, though the connection is to one of its addresses."""

    name: str

    @classmethod
    def of(cls, name: str, tls: TLS) -> _NamedContext:
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.name = name
        if tls == "verify-full":
            context.load_default_certs()
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def wrap_bio(self, *given: Any, **named: Any) -> ssl.SSLObject:
        return super().wrap_bio(*given, **(named | {"server_hostname": self.name}))


def _tls(parts: SplitResult, secret: str) -> TLS:
    """Encrypted, unless it is said that it need not be."""
    given = dict(parse_qsl(parts.query))
    mode = given.pop("sslmode", "require")
    if given:
        raise SourceRefused(f"the secret {secret}: of options only `sslmode` is known")
    if mode not in get_args(TLS):
        raise SourceRefused(f"the secret {secret}: no sslmode of ours{near(mode, get_args(TLS))}")
    return cast(TLS, mode)
