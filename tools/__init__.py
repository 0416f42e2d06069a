from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from core.tool import ToolSpec
from outbound import Endpoint, Outbound
from tools.crm import CRM, NoCRM, crm_tools
from tools.findings import draft_report, finish_report
from tools.general import echo
from tools.http import http_request
from tools.registry import Registry
from tools.reports import NoReports, Reports, previous_report
from tools.skill_files import NoFiles, SkillFiles, skill_file


@asynccontextmanager
async def open_registry(
    allowed_hosts: frozenset[str] = frozenset(),
    refused: frozenset[Endpoint] = frozenset(),
    files: SkillFiles | None = None,
    crm: CRM | None = None,
    reports: Reports | None = None,
) -> AsyncGenerator[Registry, None]:
    """`allowed_hosts` may be private; `refused` are our own endpoints, never to be reached."""
    async with Outbound(allowed_hosts, refused) as outbound:
        yield _registry(outbound, files or NoFiles(), crm or NoCRM(), reports or NoReports())


def specs() -> tuple[ToolSpec, ...]:
    """What a checker or a gateway needs: nothing is opened, nothing can be called."""
    return _registry(Outbound(), NoFiles(), NoCRM(), NoReports()).specs()


def _registry(outbound: Outbound, files: SkillFiles, crm: CRM, reports: Reports) -> Registry:
    return Registry(
        echo,
        http_request(outbound),
        skill_file(files),
        draft_report,
        finish_report,
        previous_report(reports),
        *crm_tools(crm),
    )
