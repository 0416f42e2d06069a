"""Two companies with the same ids: each tool shows each its own, and nothing of what is deleted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from core.crm import Account, Change, Owner, Quota, Record
from core.errors import InvalidArguments, NotFound
from tests.integration.sales import (
    NOW,
    RENEWALS,
    SALES,
    TOOLS,
    Sales,
    at,
    contact,
    day,
    deal,
    open_sales,
    people,
    stages,
    talk,
    touch,
)

if TYPE_CHECKING:
    from store.pool import Pool

ARGUMENTS: dict[str, dict[str, Any]] = {
    "crm_get_deal": {"deal_id": "crm:ill"},
    "crm_get_account": {"account_id": "crm:initech"},
    "crm_mentions": {"term": "secret"},
    "crm_search": {"text": "of"},
    "crm_single_threaded_deals": {"large_amount": 1},
    "crm_win_rate": {"by": "owner"},
    "crm_cycle_time": {"by": "owner"},
}


def company(name: str, amount: int) -> list[Record]:
    """One deal with everything wrong, one won, one lost; each text has the company's name."""
    ill = deal(
        "ill", amount, name=f"Deal of {name}", currency=name, close_date=day(-1),
        forecast_category=f"Category of {name}", next_step=None, contacts=people("ill", name),
        url=f"https://{name}",
        changes=(
            *stages(("new", 40)),
            *(Change(field="close_date", at=at(ago), value=day(ago).isoformat())
              for ago in (30, 20, 10, 1)),
            Change(field="amount", at=at(40), value=str(amount * 3)),
        ),
    )  # fmt: skip
    return [
        *(each.model_copy(update={"name": f"{each.name} of {name}"}) for each in (SALES, RENEWALS)),
        Owner(id="ada", modified_at=NOW, name=f"Ada of {name}", team=name),
        Account(id="initech", modified_at=NOW, name=f"Initech of {name}", segment=name),
        ill.model_copy(
            update={
                "changes": (
                    *ill.changes,
                    Change(field="amount", at=at(9), value=str(amount)),
                )
            }
        ),
        deal("late", amount, name=f"Slipped of {name}", currency=name, close_date=day(3)),
        deal("won", amount, name=f"Won of {name}", currency=name, stage="won", closed_at=at(1)),
        deal("lost", amount, name=f"Lost of {name}", currency=name, stage="lost", closed_at=at(1),
             lost_reason=name),
        contact(f"ill-{name}", f"Cleo of {name}", account="initech"),
        deal("new", amount, name=f"New of {name}", currency=name, created_at=at(1)),
        touch("ill", 35, subject=f"Call of {name}", account="initech"),
        talk("v", 34, "ill", title=f"Talk of {name}", account="initech", owner="ada",
             transcript=f"A secret of {name}."),
        Quota(id="q", modified_at=NOW, owner="ada", starts_on=day(9), ends_on=day(-9),
              amount=Decimal(amount), currency=name),
    ]  # fmt: skip


@pytest_asyncio.fixture
async def alpha(pool: Pool) -> Sales:
    beta = await open_sales(pool, "beta")
    await beta.tell(*company("beta", 77_777))
    alpha = await open_sales(pool, "alpha")
    await alpha.tell(*company("alpha", 1000))
    return alpha


async def told(sales: Sales, tool: str) -> str:
    return json.dumps(await sales.ask(tool.removeprefix("crm_"), **ARGUMENTS.get(tool, {})))


async def test_each_company_is_told_of_its_own_and_nobody_elses(alpha: Sales) -> None:
    beta = replace(alpha, workspace="beta")
    stranger = await open_sales(alpha.pool, "gamma")
    for tool in TOOLS:
        of_alpha, of_beta = await told(alpha, tool), await told(beta, tool)
        assert "alpha" in of_alpha, tool
        assert "beta" in of_beta, tool
        assert "beta" not in of_alpha, tool
        assert "77777" not in of_alpha, tool
        assert "alpha" not in of_beta, tool
        if tool in ("crm_get_deal", "crm_get_account"):
            with pytest.raises(NotFound):
                await told(stranger, tool)
            continue
        of_nobody = await told(stranger, tool)
        assert "alpha" not in of_nobody, tool
        assert "beta" not in of_nobody, tool


async def test_nothing_deleted_is_told_by_any_tool(alpha: Sales) -> None:
    later = NOW + timedelta(seconds=1)
    await alpha.tell(
        *(type(each)(id=each.id, modified_at=later, deleted=True) for each in company("alpha", 1))
    )
    for tool in TOOLS:
        if tool in ("crm_get_deal", "crm_get_account"):
            with pytest.raises(NotFound):
                await told(alpha, tool)
        else:
            assert "alpha" not in await told(alpha, tool), tool


async def test_names_of_others_are_not_among_those_that_are_known(alpha: Sales) -> None:
    for name, word in {
        "pipeline": "Sales of beta",
        "owner": "Ada of beta",
        "segment": "beta",
        "category": "Category of beta",
    }.items():
        with pytest.raises(InvalidArguments, match=r"There are: .*alpha") as caught:
            await alpha.ask("open_deals", **{name: word})
        assert "beta" not in str(caught.value).partition("There are")[2]
