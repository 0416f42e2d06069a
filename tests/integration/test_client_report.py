"""Reports at the command: readable where a person looks, whole where a file is written."""

from __future__ import annotations

import json
import webbrowser
from typing import TYPE_CHECKING, Any

import pytest
from inline_snapshot import snapshot
from starlette.responses import PlainTextResponse

from core.report import Report as ReportOfCore
from perdure.report import Report
from tests.integration.test_client_command import HOSTILE, begins, gateway, perdure
from tests.integration.test_client_terminal import on_a_terminal
from tests.unit.test_render_markdown import WHOLE
from tests.unit.test_render_slack import report

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.stand_in import StandIn

__all__ = ["gateway", "perdure"]

PATH = "GET /api/runs/orders-1/report"


def given(count: ReportOfCore = WHOLE) -> dict[str, Any]:
    return count.model_dump(mode="json")


def test_a_report_is_read_after_its_run(gateway: StandIn, perdure: Any) -> None:
    begins(gateway, output=given())
    told = perdure("run", "orders")
    assert told.code == 0
    assert told.out == snapshot("""\
Pipeline hygiene
47th week

Two deals need you.
Most of all Acme: https://crm.example.com/a_b?c=1&d=2.

  Open  EUR 1.2M  +3 %

Since Monday: 1 new, 2 resolved, 3 still there
  • Won one

Slipped  1 high
  ● high   Acme | Renewal  EUR 48k · Proposal · Ana  new
            Was to close on 1 November
            Twice before.
            → Set a new date  Ana, by 2026-11-24

Stale  1 low
  ● low    Bolt
            Silent for 20 days

To do
  Ana
    • Call Acme  by Friday
  nobody yet
    • Clean up

As of today.
""")
    assert "all of it:     perdure report orders-1" in told.err
    assert "in a browser:  perdure report orders-1 --open" in told.err


def test_of_many_findings_the_worst_are_shown_after_a_run_and_all_on_demand(
    gateway: StandIn, perdure: Any
) -> None:
    begins(gateway, output=given(report(400)))
    told = perdure("run", "orders")
    assert told.out.count("●") == 40
    assert told.out.count("… and 90 more") == 4
    assert perdure("report", "orders-1").out.count("●") == 400


def test_json_stays_json(gateway: StandIn, perdure: Any) -> None:
    begins(gateway, output=given())
    assert perdure("run", "orders", "--json").document["output"] == given()


def test_what_comes_from_elsewhere_cannot_harm_the_terminal(gateway: StandIn, perdure: Any) -> None:
    one = {"kind": HOSTILE, "title": HOSTILE, "detail": HOSTILE, "action": HOSTILE}
    deal = {"id": "1", "name": HOSTILE, "url": f"https://x/{HOSTILE}", "stage": HOSTILE}
    begins(
        gateway, output={"title": HOSTILE, "summary": HOSTILE, "findings": [one | {"deal": deal}]}
    )
    told = perdure("run", "orders")
    assert "red" in told.out
    for mark in ("\x1b", "\x07", "\x9b", "\x00", "\u202e"):
        assert mark not in told.out


def test_on_a_terminal_deals_are_links(gateway: StandIn) -> None:
    begins(gateway, output=given())
    code, said = on_a_terminal(gateway, "report", "orders-1")
    assert code == 0
    assert ";https://crm.example.com/deals/1\x1b\\" in said


def test_what_is_no_report_is_read_as_markdown(gateway: StandIn, perdure: Any) -> None:
    gateway.run("orders-1", output={"total": 3})
    gateway.answer(PATH, 200, PlainTextResponse("# Orders\n\n- **Total:** 3\n"))
    told = perdure("report", "orders-1")
    assert told.out == "# Orders\n\n- **Total:** 3\n"
    assert gateway.asked_for(PATH)[0].query == {"format": "markdown"}


@pytest.mark.parametrize(
    ("arguments", "format"),
    [
        (("--format", "slack"), "slack"),
        (("--json",), "json"),
        (("-o", "report.html"), "html"),
        (("-o", "report.md"), "markdown"),
        (("-o", "report.txt"), "markdown"),
        (("-o", "report.md", "--format", "html"), "html"),
    ],
)
def test_the_format_is_chosen_or_named_by_the_file(
    gateway: StandIn, perdure: Any, tmp_path: Path, arguments: tuple[str, ...], format: str
) -> None:
    gateway.answer(PATH, 200, PlainTextResponse("öäü"))
    told = perdure("report", "orders-1", *arguments)
    assert told.code == 0
    assert gateway.asked_for(PATH)[0].query == {"format": format}
    written = next(iter(tmp_path.glob("report.*")), None)
    assert (written.read_text("utf-8") if written else told.out.strip()) == "öäü"


def test_an_unknown_format_and_a_place_that_cannot_be_written_are_refused(
    gateway: StandIn, perdure: Any
) -> None:
    assert perdure("report", "orders-1", "--format", "pdf").code == 2
    gateway.answer(PATH, 200, PlainTextResponse("x"))
    told = perdure("report", "orders-1", "-o", "no/such/folder/report.md")
    assert (told.code, "cannot write" in told.err) == (2, True)


def test_it_opens_the_link_in_the_browser(
    gateway: StandIn, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    link = "https://perdure.example/api/runs/orders-1/report?token=t"
    gateway.run("orders-1", links={"report": link})
    assert perdure("report", "orders-1", "--open").out == f"{link}\n"
    assert opened == [link]
    gateway.run("orders-1", links={"report": "file:///etc/passwd"})
    told = perdure("report", "orders-1", "--open")
    assert (told.code, opened) == (2, [link])


def test_the_client_knows_a_report_as_the_core_does() -> None:
    assert Report.model_fields.keys() == ReportOfCore.model_fields.keys()
    for name, part in ReportOfCore.model_json_schema()["$defs"].items():
        ours = Report.model_json_schema()["$defs"]["Deal" if name == "DealRef" else name]
        assert part["properties"].keys() == ours["properties"].keys(), name
    whole = Report.find(json.loads(json.dumps(given())))
    assert whole is not None
    assert [kind for kind, _ in whole.kinds] == ["slipped", "stale"]
    for other in (None, "text", [1], {}, {"title": 1}, {"title": "a", "rows": []}):
        assert Report.find(other) is None
