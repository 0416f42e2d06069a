"""Another PostgreSQL as a source; here, the tests' own one behind a port, with and without TLS."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.connector import PostgresConfig
from core.errors import (
    AddressRefused,
    PerdureError,
    SecretNotAllowed,
    SourceForbidden,
    SourceRefused,
    SourceRejected,
    SourceUnavailable,
)
from dev import ports
from integrations import postgres as reading
from integrations.postgres import open_postgres
from integrations.postgres_address import Address
from outbound import Guard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from integrations.postgres import PostgresSource

HOST = "db.example.com"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
QUERY = "SELECT id, name, owner, updated_at FROM accounts -- all of them"


class Door:
    """A port in front of a Unix socket; with a context it speaks TLS as PostgreSQL does."""

    def __init__(self, path: str, context: ssl.SSLContext | None = None) -> None:
        self._path = path
        self._context = context
        self.names: list[str | None] = []
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Door]:
        if self._context is not None:
            self._context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        server = await asyncio.start_server(self._come, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            first = await reader.readexactly(8)
            if first == SSL_REQUEST:
                writer.write(b"N" if self._context is None else b"S")
                if self._context is None:
                    return writer.close()
                await writer.drain()
                await writer.start_tls(self._context)
                first = b""
            inner_reader, inner_writer = await asyncio.open_unix_connection(self._path)
            self._open.add(inner_writer)
            inner_writer.write(first)
            await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))
        return None


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """Of a server whose certificate nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pem)
    return made


async def here(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def guard(*allowed: str) -> Guard:
    return Guard(allowed or (HOST,), [], here)


@pytest_asyncio.fixture
async def foreign(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    await connection.execute(
        "CREATE SCHEMA crm; CREATE TABLE accounts"
        " (id integer PRIMARY KEY, name text, owner text, updated_at timestamptz)"
    )
    yield connection
    await connection.close()


def socket_of(database: str) -> tuple[str, str]:
    parts = urlsplit(database)
    named = parse_qs(parts.query)
    return f"{named['host'][0]}/.s.PGSQL.{named['port'][0]}", parts.path.removeprefix("/")


@pytest_asyncio.fixture
async def door(database: str) -> AsyncIterator[Door]:
    async with Door(socket_of(database)[0]).open() as door:
        yield door


def dsn(database: str, port: int, more: str = "?sslmode=disable") -> str:
    return f"postgresql://postgres:hush-hush@{HOST}:{port}/{socket_of(database)[1]}{more}"


def config(query: str = QUERY, kind: str = "accounts", **options: Any) -> PostgresConfig:
    kinds = {kind: {"query": query, **options}}
    return PostgresConfig.model_validate({"type": "postgres", "kinds": kinds})


@asynccontextmanager
async def opened(
    database: str, door: Door, settings: PostgresConfig | None = None
) -> AsyncIterator[PostgresSource]:
    address = Address.parse(dsn(database, door.port), "dsn")
    async with open_postgres(settings or config(), address, guard()) as source:
        yield source


async def read(
    source: PostgresSource, kind: Any = "accounts", since: datetime | None = None
) -> tuple[list[Any], list[str]]:
    told: list[Any] = []
    faults: list[str] = []
    cursor: str | None = None
    while True:
        page = await source.page(kind, since, cursor)
        told += page.records
        faults += page.faults
        cursor = page.next
        if cursor is None:
            return told, faults


async def fill(foreign: asyncpg.Connection, count: int) -> None:
    """Several of each moment, and one without any."""
    rows = [(i, f"No {i}", None, NOON + timedelta(hours=i // 3)) for i in range(count)]
    rows.append((count, "Timeless", None, None))
    await foreign.executemany("INSERT INTO accounts VALUES ($1, $2, $3, $4)", rows)


async def test_rows_are_read_by_their_columns(
    database: str, door: Door, foreign: asyncpg.Connection
) -> None:
    await foreign.execute(
        "INSERT INTO accounts VALUES (1, 'Initech', 'ada', '2026-11-02T12:00:00Z')"
    )
    async with opened(database, door) as source:
        assert source.kinds == ("accounts",)
        (account,), faults = await read(source)
        preview = await source.preview("accounts")
    assert (account.id, account.name, account.owner) == ("1", "Initech", "ada")
    assert (account.modified_at, faults) == (NOON, [])
    assert preview.columns["modified_at"] == "updated_at"
    assert preview.rows == 1


@pytest.mark.parametrize("cuts", ["one reading", "cut off after each page"])
async def test_pages_miss_nothing_and_repeat_nothing(
    database: str,
    door: Door,
    foreign: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    cuts: str,
) -> None:
    monkeypatch.setattr(reading, "ROWS", 4)
    await fill(foreign, 25)
    if cuts == "one reading":
        async with opened(database, door) as source:
            told, _ = await read(source)
    else:
        told, cursor, more = [], None, True
        while more:
            async with opened(database, door) as source:
                page = await source.page("accounts", None, cursor)
            told += page.records
            cursor, more = page.next, page.next is not None
    assert [int(account.id) for account in told] == list(range(26))


async def test_what_has_changed_since_is_read_and_what_tells_no_time(
    database: str, door: Door, foreign: asyncpg.Connection
) -> None:
    await fill(foreign, 12)
    async with opened(database, door) as source:
        told, _ = await read(source, since=NOON + timedelta(hours=2))
        assert not source.lists_all("accounts", NOON)
        assert source.lists_all("accounts", None)
    assert [int(account.id) for account in told] == [*range(6, 12), 12]


async def test_without_a_time_all_is_read_each_time(
    database: str, door: Door, foreign: asyncpg.Connection
) -> None:
    await fill(foreign, 3)
    async with opened(database, door, config("SELECT id, name FROM accounts")) as source:
        told, _ = await read(source, since=datetime.now(UTC))
        assert source.lists_all("accounts", NOON)
    assert len(told) == 4


async def test_a_bad_row_is_named_and_the_others_read(
    database: str, door: Door, foreign: asyncpg.Connection
) -> None:
    await fill(foreign, 3)
    query = "SELECT id, nullif(name, 'No 1') AS name FROM accounts;"
    async with opened(database, door, config(query)) as source:
        told, faults = await read(source)
    assert [account.id for account in told] == ["0", "2", "3"]
    assert faults == ["accounts, the row with `id` `1`: column `name`: empty, and `name` is needed"]


async def test_stages_owners_and_accounts_are_those_that_deals_name(
    database: str, door: Door
) -> None:
    query = "SELECT * FROM (VALUES (1, 'Talks', 'ada'), (2, 'Won', NULL)) AS d (id, stage, owner)"
    async with opened(database, door, config(query, "deals")) as source:
        assert source.kinds == ("owners", "pipelines", "accounts", "deals")
        (owner,), _ = await read(source, "owners")
        (pipeline,), _ = await read(source, "pipelines")
        nobody, _ = await read(source, "accounts")
    assert owner.name == "ada"
    assert [(stage.id, stage.outcome) for stage in pipeline.stages] == [
        ("Talks", "open"),
        ("Won", "won"),
    ]
    assert nobody == []


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("SELECT 1 AS id", SourceRejected, "accounts: no column for `name`"),
        ("SELECT 1 AS id, 2 AS id", SourceRejected, "two columns are called `id`"),
        ("SELECT id FROM nowhere", SourceRejected, 'relation "nowhere" does not exist'),
        ("SELECT 1; DELETE FROM accounts", SourceRejected, "accounts: .*syntax error"),
        ("SELECT 1 AS id, 'x' AS name) AS q; DROP TABLE accounts; --", SourceRejected, "accounts"),
        (
            "SELECT lo_create(0)::int AS id, 'x' AS name",
            SourceRejected,
            "cannot execute lo_create.* in a read-only transaction",
        ),
        (
            "SELECT 1 AS id, pg_sleep(1)::text AS name",
            SourceRejected,
            "the query took too long",
        ),
    ],
)
async def test_a_query_that_cannot_be_asked_is_refused_by_its_kind(
    database: str,
    door: Door,
    foreign: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    error: type[PerdureError],
    message: str,
) -> None:
    monkeypatch.setattr("integrations.postgres_address.STATEMENT_TIMEOUT_SECONDS", 0.3)
    with pytest.raises(error, match=message):
        async with opened(database, door, config(query)) as source:
            await read(source)
    assert await foreign.fetchval("SELECT count(*) FROM accounts") == 0


async def test_what_may_not_be_read_is_said(
    database: str, door: Door, foreign: asyncpg.Connection
) -> None:
    name = f"reader_{socket_of(database)[1][-8:]}"
    await foreign.execute(f"CREATE ROLE {name} LOGIN")
    address = Address.parse(dsn(database, door.port).replace("postgres:hush-hush", name), "dsn")
    try:
        with pytest.raises(SourceForbidden, match="accounts: permission denied for table"):
            async with open_postgres(config(), address, guard()) as source:
                await read(source)
    finally:
        await foreign.execute(f"DROP ROLE {name}")


async def test_a_lost_connection_may_be_tried_again(
    database: str, door: Door, foreign: asyncpg.Connection
) -> None:
    await fill(foreign, 3)
    async with opened(database, door) as source:
        await foreign.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'perdure' AND datname = current_database()"
        )
        with pytest.raises(SourceUnavailable, match="the database went away"):
            await read(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mysql://reader:hush-hush@db/sales", "expected postgresql://"),
        ("postgresql://reader:hush-hush@/sales", "expected postgresql://"),
        ("postgresql://reader:hush-hush@db:x/sales", "expected postgresql://"),
        ("postgresql://:hush-hush@db/sales", "expected postgresql://"),
        ("postgresql://reader:hush-hush@db", "expected postgresql://"),
        ("postgresql://reader:hush-hush@db/sales?sslmode=prefer", "no sslmode of ours"),
        ("postgresql://reader:hush-hush@db/sales?passfile=/etc/passwd", "only `sslmode`"),
        ("hush-hush", "expected postgresql://"),
    ],
)
def test_what_is_no_address_is_refused_without_its_password(text: str, message: str) -> None:
    with pytest.raises(SourceRefused, match=message) as refused:
        Address.parse(text, "warehouse_dsn")
    assert "hush-hush" not in str(refused.value)
    assert "warehouse_dsn" in str(refused.value)


def test_a_secret_goes_only_where_it_may() -> None:
    address = Address.parse("postgresql://reader:hush-hush@db.example.com/sales", "dsn")
    address.require_meant_for(["*.example.com"], "dsn")
    for allowed in (["example.com"], ["db.example.com:5433"], []):
        with pytest.raises(SecretNotAllowed, match=r"not meant for db\.example\.com:5432"):
            address.require_meant_for(allowed, "dsn")
    assert "hush-hush" not in repr(address)


@pytest.mark.parametrize(
    ("watch", "message"),
    [
        (Guard((), [], here), "is not on the public internet"),
        (Guard((HOST,), [("127.0.0.1", 5432)], here), "belongs to Perdure itself"),
    ],
)
async def test_private_hosts_and_our_own_database_are_not_reached(
    watch: Guard, message: str
) -> None:
    address = Address.parse(f"postgresql://reader:hush-hush@{HOST}/sales", "dsn")
    with pytest.raises(AddressRefused, match=message) as refused:
        await address.connect(watch)
    assert "hush-hush" not in str(refused.value)


async def test_nobody_there_is_told_as_such() -> None:
    address = Address.parse(f"postgresql://reader:hush-hush@{HOST}:{ports.free()}/sales", "dsn")
    with pytest.raises(SourceUnavailable, match="could not be reached"):
        await address.connect(guard())


async def test_a_server_without_tls_is_not_spoken_to_unless_that_is_said(
    database: str, door: Door
) -> None:
    with pytest.raises(SourceRefused, match=r"speaks no TLS: add .sslmode=disable"):
        await Address.parse(dsn(database, door.port, ""), "dsn").connect(guard())


async def test_tls_is_under_the_hosts_own_name(database: str, context: ssl.SSLContext) -> None:
    async with Door(socket_of(database)[0], context).open() as door:
        connection = await Address.parse(dsn(database, door.port, ""), "dsn").connect(guard())
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        assert door.names == [HOST]
        full = Address.parse(dsn(database, door.port, "?sslmode=verify-full"), "dsn")
        with pytest.raises(SourceRefused, match=r"TLS with db\.example\.com failed"):
            await full.connect(guard())
