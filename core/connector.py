"""What a source of business data must be able to do, and how one is set up."""

import re
from datetime import datetime
from typing import Annotated, Literal, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from core.crm import Kind, Outcome, Record
from core.crm_fields import FIELDS
from core.faults import near, strangers
from core.model import Frozen


class Page(Frozen):
    """`next` is where the next page begins, in the connector's own words; None ends the pass."""

    records: tuple[Record, ...] = ()
    next: str | None = Field(default=None, max_length=4000)
    # Rows that could not be read, each as one sentence for a person; they are not lost silently.
    faults: tuple[str, ...] = ()
    # The same of values: their records are told without them.
    remarks: tuple[str, ...] = ()


class Connector(Protocol):
    """One source, opened for one pass. A page may be asked for again: the same answer, or a newer.

    Failures are those of `core.errors`; what a retry can heal says so, with `retry_after`.
    """

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What it tells of, in the order in which it should be read."""
        ...

    async def page(self, kind: Kind, since: datetime | None, cursor: str | None) -> Page:
        """Changed at or after `since` (None: all), tombstones included, from `cursor` on."""
        ...

    def lists_all(self, kind: Kind, since: datetime | None) -> bool:
        """Whether a whole pass names all that exists, so that what it did not name is gone."""
        ...


class Preview(Frozen):
    """How a kind is read before it is: which column holds what, and how many rows there are."""

    columns: dict[str, str] = Field(default_factory=dict[str, str])
    unused: tuple[str, ...] = ()
    rows: int | None = None


@runtime_checkable
class Previewing(Protocol):
    """A connector whose records come from columns can say how."""

    async def preview(self, kind: Kind) -> Preview: ...


def web_address(url: str) -> str:
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise ValueError("an address holds no spaces, backslashes or control characters")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected an address such as https://api.example.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong into an address")
    if parts.port == 0:  # asking raises ValueError where it is none at all
        raise ValueError("a port is a number from 1 to 65535")
    return url


SecretName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,63}$")]
ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class Columns(Frozen):
    """Which column holds what, and how values are written.

    What is not said must be clear by itself: `1,234` may be a thousand or one and a bit.
    """

    columns: dict[str, ColumnName] = Field(
        default_factory=dict[str, str],
        max_length=50,
        description="our field → the column that holds it; of the others it is guessed",
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="what stands before decimals, where that is not clear: `1,234`"
    )
    dates: Literal["iso", "dmy", "mdy", "ymd", "unix", "unix_ms"] = Field(
        default="iso", description="the order of day, month and year, or a count since 1970"
    )
    separator: str = Field(
        default=";",
        min_length=1,
        max_length=3,
        description="what stands between several ids in a cell",
    )

    def require_fields_of(self, kind: Kind) -> None:
        for name in strangers(self.columns, FIELDS[kind]):
            raise ValueError(f"`{name}` is no field of {kind}{near(name, FIELDS[kind])}")


class FileOptions(Columns):
    """`lists`: whether a file names all there is, so that what it does not name is gone."""

    delimiter: Literal[",", ";", "\t", "|"] | None = Field(
        default=None, description="what stands between cells; without it, the header shows it"
    )
    lists: Literal["all", "changes"] = Field(
        default="all", description="`all`: what a file does not name is gone; `changes`: it stays"
    )


class QueryOptions(Columns):
    query: str = Field(
        min_length=1, max_length=20_000, description="one SELECT; it is asked in pages"
    )


Outcomes = Annotated[dict[str, Outcome], Field(max_length=200)]


class FilesConfig(Frozen):
    """CSV or JSONL files, uploaded one by one."""

    type: Literal["files"] = "files"
    kinds: dict[Kind, FileOptions] = Field(
        default_factory=dict[Kind, FileOptions],
        description="how the file of each kind is to be read; one not named is read as it looks",
    )
    outcomes: Outcomes = Field(
        default_factory=dict[str, Outcome],
        description="stage → `open`, `won` or `lost`, where its name does not say it",
    )

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        for kind, options in self.kinds.items():
            options.require_fields_of(kind)
        return self


class PostgresConfig(Frozen):
    """Any PostgreSQL, by a query for each kind."""

    type: Literal["postgres"] = "postgres"
    dsn: SecretName = Field(
        default="postgres_dsn",
        description="the secret that holds postgresql://user:password@host:port/database",
    )
    kinds: dict[Kind, QueryOptions] = Field(min_length=1, description="what to ask for each kind")
    outcomes: Outcomes = Field(
        default_factory=dict[str, Outcome],
        description="stage → `open`, `won` or `lost`, where its name does not say it",
    )

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        for kind, options in self.kinds.items():
            options.require_fields_of(kind)
        return self


class HubSpotConfig(Frozen):
    """HubSpot's CRM, with the token of a private app."""

    type: Literal["hubspot"] = "hubspot"
    secret: SecretName = Field(
        default="hubspot_token", description="the secret that holds the token"
    )
    base_url: Annotated[str, AfterValidator(web_address)] = Field(
        default="https://api.hubapi.com", max_length=500, description="another address of the API"
    )
    portal: str | None = Field(
        default=None,
        pattern=r"^\d{1,20}$",
        description="the account's id (Hub ID); a token of another account is then refused",
    )
    segment: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]{1,100}$",
        description="the property of companies that says their segment",
    )


SourceConfig = Annotated[FilesConfig | PostgresConfig | HubSpotConfig, Field(discriminator="type")]
