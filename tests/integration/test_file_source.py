"""Uploaded files, as a sync reads them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.connector import FileOptions, FilesConfig
from core.crm import Kind, Record
from core.errors import Invalid, SourceRejected
from core.run import Workspace
from integrations import files as reading
from integrations.files import FileSource
from services.uploads import as_utf8, format_of
from store.source_files import SourceFiles, StoredFile
from store.sources import Sources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.pool import Pool

ACME = Workspace(id="acme", name="Acme", timezone="Europe/Berlin")


@pytest.fixture
async def files(pool: Pool) -> SourceFiles:
    await pool.execute("INSERT INTO workspaces (id, name) VALUES ('acme', 'Acme')")
    await Sources(pool).create("acme", "files", FilesConfig())
    return SourceFiles(pool)


async def pieces(data: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def put(
    files: SourceFiles,
    data: str | bytes,
    kind: Kind = "accounts",
    format: Literal["csv", "jsonl"] = "csv",
    encoding: str | None = None,
) -> StoredFile:
    raw = data.encode() if isinstance(data, str) else data
    return await files.put("acme", "files", kind, format, as_utf8(pieces(raw), encoding))


async def source(files: SourceFiles, config: FilesConfig | None = None) -> FileSource:
    current = await files.list_current("acme", "files")
    return FileSource(files, ACME, "files", config or FilesConfig(), current)


async def read(
    files: SourceFiles, kind: Kind = "accounts", **options: Any
) -> tuple[list[Any], list[str]]:
    told: list[Record] = []
    faults: list[str] = []
    opened = await source(files, FilesConfig(kinds={kind: FileOptions(**options)}))
    cursor: str | None = None
    while True:
        page = await opened.page(kind, None, cursor)
        told += page.records
        faults += page.faults
        cursor = page.next
        if cursor is None:
            return told, faults


async def test_columns_are_found_by_their_names(files: SourceFiles) -> None:
    stored = await put(files, "Company ID,Company name,Number of Employees\n1,Initech,1200\n")
    (account,), faults = await read(files)
    assert (account.id, account.name, account.employees) == ("1", "Initech", 1200)
    assert account.modified_at == stored.uploaded_at
    assert faults == []


async def test_columns_may_be_named(files: SourceFiles) -> None:
    await put(files, "id,Kunde,name\n1,Initech,a nickname\n")
    (account,), _ = await read(files, columns={"name": "Kunde"})
    assert account.name == "Initech"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": "Kunden"}, r"no column `Kunden` for `name`; did you mean `Kunde`\?"),
        ({}, "no column for `name`: name it under `columns`; there is `id`, `Kunde`"),
    ],
)
async def test_a_column_that_is_not_there_is_named(
    files: SourceFiles, columns: dict[str, str], message: str
) -> None:
    await put(files, "id,Kunde\n1,Initech\n")
    with pytest.raises(SourceRejected, match=message):
        await read(files, columns=columns)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
async def test_the_header_shows_what_stands_between_cells(
    files: SourceFiles, delimiter: str
) -> None:
    await put(files, f"id{delimiter}name\n1{delimiter}Initech\n")
    (account,), _ = await read(files)
    assert account.name == "Initech"


async def test_excel_may_say_it_in_a_line_of_its_own(files: SourceFiles) -> None:
    await put(files, 'sep=;\nid;name\n1;"Initech; Inc, Ltd"\n2\n')
    (account,), faults = await read(files)
    assert account.name == "Initech; Inc, Ltd"
    assert faults == ["accounts line 4: 1 cells, and the header has 2"]


async def test_a_line_that_only_begins_as_excels_is_a_header(files: SourceFiles) -> None:
    await put(files, "sep=")
    with pytest.raises(SourceRejected, match="no column for `id`"):
        await read(files)


async def test_a_file_of_very_many_columns_is_refused_at_once(files: SourceFiles) -> None:
    await put(files, ",".join(f"c{number}" for number in range(60_000)) + "\n")
    async with asyncio.timeout(2):
        with pytest.raises(SourceRejected, match="more than 5,000 columns"):
            await read(files)


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("deals", "amount", "1e400"),
        ("deals", "amount", "9" * 40),
        ("deals", "close_date", '"0001-01-01T00:00:00+14:00"'),
        ("deals", "created_at", '"0001-01-01T00:00:00+14:00"'),
        ("deals", "modified_at", '"9999-12-31T23:59:59-10:00"'),
        ("accounts", "employees", "3000000000"),
        ("pipelines", "position", "3000000000"),
    ],
)
async def test_a_value_that_cannot_be_kept_is_a_fault_of_its_row_alone(
    files: SourceFiles, kind: Kind, column: str, value: str
) -> None:
    good = '{"id": "1", "name": "one", "stage": "new"}\n'
    bad = f'{{"id": "2", "name": "two", "stage": "new", "{column}": {value}}}\n'
    await put(files, good + bad, kind, format="jsonl")
    told, (fault,) = await read(files, kind)
    assert [each.id for each in told] == ["1"]
    assert column in fault


async def test_halves_of_signs_are_left_out(files: SourceFiles) -> None:
    await put(files, '{"id": "1", "name": "In\\ud800it\\u0000ech"}\n', format="jsonl")
    (account,), _ = await read(files)
    assert account.name == "Initech"


@pytest.mark.parametrize("stage", ["\\u0000", "x" * 201])
async def test_a_stage_that_is_no_id_is_told_with_its_deal_alone(
    files: SourceFiles, stage: str
) -> None:
    await put(
        files,
        f'{{"id": "1", "name": "one", "stage": "new"}}\n{{"id": "2", "stage": "{stage}"}}\n',
        "deals",
        format="jsonl",
    )
    (pipeline,), _ = await read(files, "pipelines")
    assert [each.id for each in pipeline.stages] == ["new"]
    (deal,), (fault,) = await read(files, "deals")
    assert deal.id == "1"
    assert "line 2" in fault


async def test_bad_rows_are_told_with_line_and_column_and_the_others_read(
    files: SourceFiles,
) -> None:
    text = (
        "id,name,Number of employees,created\n"
        '1,"Two\nlines",10,2026-01-01\n'
        "2,Initech,many,yesterday\n"
        ",Hooli,5,2026-01-01\n"
        "\n"
        "4,Globex,7\n"
        '5,"a "quote" inside",7,2026-01-01\n'
        ",,,\n"
        "6,Umbrella,8,2026-01-02\n"
    )
    await put(files, text)
    told, faults = await read(files)
    assert [account.id for account in told] == ["1", "6"]
    assert faults == [
        "accounts line 4: column `Number of employees`: expected a number such as 1234.50, got "
        "`many`; column `created`: expected a time such as 2026-11-20 or 2026-11-20T09:30:00Z "
        "(or say `dates`: dmy, mdy, …), got `yesterday`",
        "accounts line 5: column `id`: empty, and `id` is needed",
        "accounts line 7: 3 cells, and the header has 4",
        "accounts line 8: ',' expected after '\"'",
    ]


async def test_a_quote_that_is_never_closed_ends_the_reading(files: SourceFiles) -> None:
    await put(files, 'id,name\n1,Initech\n2,"Hooli\n3,Globex\n')
    with pytest.raises(SourceRejected, match="accounts line 3: a quote opens in this row"):
        await read(files)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "line 1: expected a header"), ("id,id\n1,2\n", "line 1: two columns are called `id`")],
)
async def test_a_header_is_needed(files: SourceFiles, text: str, message: str) -> None:
    await put(files, text)
    with pytest.raises(SourceRejected, match=message):
        await read(files)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("id,name\r\n1,Müller\r\n".encode("utf-8-sig"), None),
        ("id,name\r\n1,Müller\r\n".encode("utf-16"), None),
        ("id,name\r1,Müller\r".encode("windows-1252"), "windows-1252"),
        ("id,name\n1,Müller".encode("iso-8859-1"), "ISO-8859-1"),
    ],
)
async def test_encodings_and_ends_of_lines(
    files: SourceFiles, data: bytes, encoding: str | None
) -> None:
    await put(files, data, encoding=encoding)
    (account,), faults = await read(files)
    assert (account.name, faults) == ("Müller", [])


async def test_another_encoding_is_told_by_its_line_and_nothing_is_kept(
    files: SourceFiles, pool: Pool
) -> None:
    with pytest.raises(Invalid, match="line 3: this is not utf-8; say which it is"):
        await put(files, "id,name\n1,Initech\n2,Müller\n".encode("latin-1"))
    assert await pool.fetchval("SELECT count(*) FROM source_files") == 0
    assert await pool.fetchval("SELECT count(*) FROM source_file_parts") == 0


async def test_an_unknown_encoding_is_refused(files: SourceFiles) -> None:
    with pytest.raises(Invalid, match="unknown encoding; did you mean `windows-1252`"):
        await put(files, "id\n", encoding="windows-1251")


async def test_objects_line_by_line(files: SourceFiles) -> None:
    lines = [
        {"id": 7, "name": "Renewal", "stage": "Proposal", "amount": 1234.567, "contacts": ["c1"]},
        {"id": "8", "name": "New", "stage": "Won", "close_date": "2026-11-01"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines) + "\n{broken\n[1]\n"
    await put(files, text, "deals", "jsonl")
    (first, second), faults = await read(files, "deals")
    assert (first.id, first.amount) == ("7", Decimal("1234.57"))
    assert [link.contact for link in first.contacts] == ["c1"]
    assert second.amount is None
    assert [fault[:44] for fault in faults] == [
        "deals line 4: expected a JSON object: Expect",
        "deals line 5: expected a JSON object, got `[",
    ]


@pytest.mark.parametrize(("text", "format"), [("\n {}", "jsonl"), ("a,b\n", "csv"), ("", "csv")])
async def test_the_first_sign_shows_the_format(text: str, format: str) -> None:
    seen, data = await format_of(pieces(text.encode(), 1))
    assert seen == format
    assert b"".join([piece async for piece in data]) == text.encode()


async def test_rows_are_stages_of_pipelines(files: SourceFiles) -> None:
    text = (
        "pipeline,stage id,stage label,probability,outcome\n"
        "Sales,s1,First talk,10%,\nSales,s2,Signed,100,won\nSales,s3,Closed lost,0,\n"
        "Renewals,r1,Due,0.5,\nRenewals,r2,Gone,0,perhaps\n"
    )
    await put(files, text.replace("10%", "10"), "pipelines")
    (sales, renewals), faults = await read(files, "pipelines")
    assert [(stage.name, stage.probability, stage.outcome) for stage in sales.stages] == [
        ("First talk", 0.1, "open"),
        ("Signed", 1.0, "won"),
        ("Closed lost", 0.0, "lost"),
    ]
    assert (renewals.position, len(renewals.stages)) == (1, 1)
    (fault,) = faults
    assert fault.startswith("pipelines line 6: column `outcome`")


async def test_deals_name_what_has_no_file_of_its_own(files: SourceFiles) -> None:
    text = (
        "id,stage,deal owner,company\n1,Talks,Ada,Initech\n2,Closed Won,Bo,\n3,Talks,Ada,Initech\n"
        "4,Verbal,,Hooli\n"
    )
    await put(files, text, "deals")
    opened = await source(files, FilesConfig(outcomes={"Verbal": "won"}))
    assert opened.kinds == ("owners", "pipelines", "accounts", "deals")
    owners = (await opened.page("owners", None, None)).records
    assert [owner.id for owner in owners] == ["Ada", "Bo"]
    (pipeline,) = (await opened.page("pipelines", None, None)).records
    assert [(stage.name, stage.outcome) for stage in pipeline.stages] == [  # type: ignore[union-attr]
        ("Talks", "open"),
        ("Closed Won", "won"),
        ("Verbal", "won"),
    ]
    accounts = (await opened.page("accounts", None, None)).records
    assert [account.id for account in accounts] == ["Initech", "Hooli"]


async def test_days_in_a_stage_are_known_from_a_column(files: SourceFiles) -> None:
    await put(files, "id,stage,stage entered\n1,Talks,2026-11-01\n", "deals")
    (deal,), _ = await read(files, "deals")
    (change,) = deal.changes
    assert (change.field, change.value) == ("stage", "Talks")
    assert change.at == datetime(2026, 10, 31, 23, tzinfo=UTC)  # midnight in Berlin


async def test_a_quota_without_an_id_is_known_by_whose_it_is_and_when(files: SourceFiles) -> None:
    await put(files, "owner,start,end,target\nAda,2026-10-01,2026-12-31,5000\n", "quotas")
    (quota,), _ = await read(files, "quotas")
    assert (quota.id, quota.amount) == ("Ada/all/2026-10-01", Decimal(5000))


async def test_deleted_rows_are_told_as_such(files: SourceFiles) -> None:
    await put(files, "id,name,is deleted\n1,Initech,no\n2,Hooli,true\n")
    told, _ = await read(files)
    assert [account.deleted for account in told] == [False, True]


async def test_a_pass_reads_the_file_it_began_with(files: SourceFiles) -> None:
    rows = "".join(f"{number},Old\n" for number in range(1_500))
    await put(files, f"id,name\n{rows}")
    first = await (await source(files)).page("accounts", None, None)
    assert (len(first.records), first.next is not None) == (1_000, True)
    await put(files, "id,name\n1,New\n")
    rest = await (await source(files)).page("accounts", None, first.next)
    assert {account.name for account in rest.records} == {"Old"}  # type: ignore[union-attr]
    assert (len(rest.records), rest.next) == (500, None)
    await put(files, "id,name\n1,Newer\n")
    with pytest.raises(SourceRejected, match="replaced twice"):
        await (await source(files)).page("accounts", None, first.next)


async def test_a_preview_counts_rows_and_names_what_is_not_used(files: SourceFiles) -> None:
    await put(files, 'id,name,favourite colour\n1,"Two\nlines",red\n2,Hooli,\n')
    preview = await (await source(files)).preview("accounts")
    assert preview.columns == {"id": "id", "name": "name"}
    assert preview.unused == ("favourite colour",)
    assert preview.rows == 2


async def test_wherever_blocks_end_the_rows_are_the_same(
    files: SourceFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
    loop = asyncio.get_running_loop()

    async def names(text: str) -> list[str]:
        await put(files, text)
        told, faults = await read(files)
        assert faults == []
        return [account.name for account in told]

    @settings(max_examples=40, suppress_health_check=list(HealthCheck), database=None)
    @given(rows=st.lists(cells, max_size=12), block=st.integers(9, 40), count=st.integers(1, 5))
    def hold(rows: list[str], block: int, count: int) -> None:
        written = io.StringIO()
        table = csv.writer(written, lineterminator="\n")
        table.writerows(
            [["id", "name"], *([number, f"x{row}x"] for number, row in enumerate(rows))]
        )
        monkeypatch.setattr(reading, "BLOCK", max(block, 2 * 9))
        monkeypatch.setattr(reading, "ROWS", count)
        told = asyncio.run_coroutine_threadsafe(names(written.getvalue()), loop).result(30)
        assert told == [f"x{row}x" for row in rows]

    await asyncio.to_thread(hold)
