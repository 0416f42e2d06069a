"""Sources, as the command shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from perdure.command.progress import local
from tests.integration.stand_in import StandIn, event
from tests.integration.test_client_command import gateway as gateway
from tests.integration.test_client_command import perdure as perdure

if TYPE_CHECKING:
    from pathlib import Path

HOME = "/api/workspaces/demo/sources"
AT = local(datetime(2026, 11, 20, 8, tzinfo=UTC))
TALLY = {"read": 24_000, "written": 23_990, "deleted": 3, "unchanged": 7, "faults": 12}
CRM: dict[str, Any] = {
    "id": "crm",
    "type": "files",
    "last_run_id": "sync-crm-1",
    "last_run_status": "failed",
    "last_run_at": "2026-11-20T08:00:00Z",
    "created_at": "2026-11-20T08:00:00Z",
    "updated_at": "2026-11-20T08:00:00Z",
    "config": {"type": "files", "outcomes": {"Verbal": "won"}},
    "syncing": None,
    "kinds": [{"kind": "deals", "known_to": "2026-11-20T08:00:00Z", "done": True, **TALLY}],
    "files": [
        {"kind": "deals", "format": "csv", "size": 12_345, "lines": 24_013, "uploaded_at": None}
    ],
}


def test_sources_are_listed(gateway: StandIn, perdure: Any) -> None:
    gateway.answer(f"GET {HOME}", 200, {"items": [CRM], "next_cursor": None})
    told = perdure("sources", "list")
    assert told.code == 0
    assert told.out.splitlines()[1].split() == ["crm", "files", *AT.split(), "failed"]


def test_a_source_is_added_with_its_config(gateway: StandIn, perdure: Any, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"outcomes": {"Verbal": "won"}}', "utf-8")
    gateway.answer(f"POST {HOME}", 201, CRM)
    told = perdure("sources", "add", "crm", "files", "--config", str(file))
    assert "source crm was added" in told.out
    (asked,) = gateway.asked_for(f"POST {HOME}")
    assert asked.body == {"id": "crm", "config": {"outcomes": {"Verbal": "won"}, "type": "files"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is no JSON"), ("[]", "expected a JSON object"), (None, "cannot be read")],
)
def test_a_config_that_cannot_be_read_is_told(
    gateway: StandIn, perdure: Any, tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "config.json"
    if text is not None:
        file.write_text(text, "utf-8")
    told = perdure("sources", "add", "crm", "files", "--config", str(file))
    assert told.code == 2
    assert message in told.err
    assert gateway.asked == []


def test_a_changed_source_keeps_its_type(gateway: StandIn, perdure: Any, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}", "utf-8")
    gateway.answer(f"GET {HOME}/crm", 200, CRM)
    gateway.answer(f"PATCH {HOME}/crm", 200, CRM)
    assert perdure("sources", "update", "crm", "--config", str(file)).code == 0
    (asked,) = gateway.asked_for(f"PATCH {HOME}/crm")
    assert asked.body == {"config": {"type": "files"}}


def test_a_source_is_shown_with_its_files_and_what_its_sync_did(
    gateway: StandIn, perdure: Any
) -> None:
    gateway.answer(f"GET {HOME}/crm", 200, CRM)
    told = perdure("sources", "show", "crm").out
    for words in ("crm  files", '{"Verbal":"won"}', "24,013", "23,990", "failed", "sync-crm-1"):
        assert words in told
    gateway.answer(f"GET {HOME}/crm", 200, CRM)
    assert perdure("sources", "show", "crm", "--json").document == CRM


def test_a_file_is_sent_piece_by_piece_and_again_where_the_connection_breaks(
    gateway: StandIn, perdure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.sources.PIECE", 7)
    file = tmp_path / "deals.csv"
    file.write_bytes(b"id,stage\n1,Talks\n")
    place = f"PUT {HOME}/crm/files/deals"
    gateway.answer(place, 0, None)
    gateway.answer(place, 200, CRM["files"][0])
    told = perdure("sources", "upload", "crm", "deals", str(file), "--encoding", "windows-1252")
    assert (told.code, "24,013 lines of csv" in told.out) == (0, True)
    sent = gateway.asked_for(place)
    assert [each.raw for each in sent] == [file.read_bytes()] * 2
    assert sent[0].query == {"encoding": "windows-1252"}


def test_a_file_that_is_not_there_is_told(gateway: StandIn, perdure: Any) -> None:
    told = perdure("sources", "upload", "crm", "deals", "nowhere.csv")
    assert (told.code, "there is no file nowhere.csv" in told.err) == (2, True)


def test_a_check_shows_columns_rows_and_faults(gateway: StandIn, perdure: Any) -> None:
    kinds = [
        {
            "kind": "deals",
            "columns": {"name": "Deal Name"},
            "unused": ["Colour"],
            "rows": 1_200,
            "sample": [{"id": "1", "name": "Renewal"}],
            "faults": ["deals line 4: column `Amount`: expected a number"],
            "error": None,
        },
        {"kind": "contacts", "error": {"code": "source_rejected", "message": "no column for `id`"}},
    ]
    checked = {"ok": False, "error": None, "kinds": kinds}
    gateway.answer(f"POST {HOME}/crm/check", 200, checked)
    told = perdure("sources", "check", "crm")
    assert told.code == 1
    for words in ("1,200 rows", "name ← Deal Name", "Colour", "Renewal", "line 4", "no column"):
        assert words in told.out
    gateway.answer(f"POST {HOME}/crm/check", 200, checked)
    assert perdure("sources", "check", "crm", "--json").document == checked


def begins(gateway: StandIn, **more: Any) -> None:
    output = {"records": 1, "by_type": {"deals": TALLY}, "faults": ["deals line 4: no number"]}
    gateway.run("sync-crm-1", "succeeded", skill="perdure.sync", output=output, **more)
    reading = {"kind": "deals", "tally": TALLY, "is_done": True}
    gateway.logs["sync-crm-1"] = [
        event(0, "run.started"),
        event(1, "step.started", "deals", 1, source="crm"),
        event(2, "step.finished", "deals", 1, output=reading, duration_ms=900),
        event(3, "run.succeeded"),
    ]
    gateway.answer(f"POST {HOME}/crm/sync", 202, {"run_id": "sync-crm-1", "status": "queued"})


def test_a_sync_begins_and_is_left_to_itself(gateway: StandIn, perdure: Any) -> None:
    begins(gateway)
    told = perdure("sources", "sync", "crm", "--full", "--silent")
    assert (told.code, told.out) == (0, "sync-crm-1\n")
    (asked,) = gateway.asked_for(f"POST {HOME}/crm/sync")
    assert asked.body == {"full": True, "announce": False}


def test_a_sync_that_is_followed_tells_how_far_it_is_and_what_came_of_it(
    gateway: StandIn, perdure: Any
) -> None:
    begins(gateway)
    told = perdure("sources", "sync", "crm", "--follow")
    assert told.code == 0
    assert "24,000 read, 23,990 written, 3 deleted, 12 not readable" in told.err
    assert told.out.splitlines()[1].split() == ["deals", "24,000", "23,990", "3", "7", "12"]
    assert "deals line 4: no number" in told.err
    assert "and 11 more" in told.err
    begins(gateway)
    document = perdure("sources", "sync", "crm", "--follow", "--json").document
    assert document["output"]["by_type"] == {"deals": TALLY}


def test_a_sync_that_found_nothing_to_read_says_so(gateway: StandIn, perdure: Any) -> None:
    begins(gateway, label="crm")
    gateway.runs["sync-crm-1"] |= {"output": {"records": 0, "by_type": {}, "faults": []}}
    told = perdure("sources", "sync", "crm", "--follow")
    assert told.code == 0
    assert "there was nothing to read: perdure sources check crm" in " ".join(told.err.split())


def test_a_failed_sync_is_not_offered_to_be_retried(gateway: StandIn, perdure: Any) -> None:
    begins(gateway)
    gateway.runs["sync-crm-1"] |= {"status": "failed", "output": None}
    told = perdure("sources", "sync", "crm", "--follow")
    assert told.code == 1
    assert "runs retry" not in told.err


def test_whoever_removes_a_source_says_what_becomes_of_its_records(
    gateway: StandIn, perdure: Any
) -> None:
    refused = perdure("sources", "remove", "crm")
    assert (refused.code, "--records keep" in refused.err) == (2, True)
    gateway.answer(f"DELETE {HOME}/crm", 200, {"records": "deleted", "rows": 1_234})
    assert "and 1,234 records" in perdure("sources", "remove", "crm", "--records", "delete").out
    (asked,) = gateway.asked_for(f"DELETE {HOME}/crm")
    assert asked.query == {"records": "delete"}
