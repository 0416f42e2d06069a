"""The tools over business data: what a revenue team asks of its pipeline."""

from core.tool import Tool
from tools.crm.asking import CRM, Asking
from tools.crm.asking import NoCRM as NoCRM
from tools.crm.deals import deals
from tools.crm.health import health
from tools.crm.lookups import lookups
from tools.crm.people import people
from tools.crm.pipeline import pipeline
from tools.crm.rates import rates


def crm_tools(crm: CRM) -> tuple[Tool, ...]:
    ask = Asking(crm)
    return tuple(
        tool for group in (deals, health, pipeline, rates, people, lookups) for tool in group(ask)
    )
