"""Which calls and meetings were recorded, and what was said in them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Literal, get_args

from core.crm import Conversation
from dev.demo.company.sales import VENDOR
from dev.demo.company.talk import Kind, talk
from dev.demo.company.touches import phase
from dev.demo.company.words import LOST_REASONS

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from dev.demo.company.deals import Sale
    from dev.demo.company.touches import Touch

Said = Kind | Literal["harmless"]

RECORDED = 250
HARMLESS = 12  # open deals without any problem in which something is said that sounds like one
OPEN_RECORDED, LOST_RECORDED = 0.65, 0.7


@dataclass(frozen=True)
class PlantedSignal:
    """`quote` stands in the transcript in these very words."""

    deal: str
    conversation: str
    kind: Kind
    quote: str


def spoken_of(rng: Random, sales: list[Sale]) -> dict[str, Said]:
    """By open deal, what is said in its last conversation beside the usual."""
    kinds = list(get_args(Kind))
    rng.shuffle(kinds)
    risky = [sale for sale in sales if "risk_signal" in sale.life.problems]
    sound = [sale for sale in sales if sale.life.outcome == "open" and not sale.life.problems]
    said: dict[str, Said] = {
        sale.record.id: kind for sale, kind in zip(risky, cycle(kinds), strict=False)
    }
    said.update((sale.record.id, "harmless") for sale in rng.sample(sound, HARMLESS))
    return said


def conversations(
    rng: Random, touches: list[Touch], said: dict[str, Said], stamp: datetime
) -> tuple[list[Conversation], list[PlantedSignal]]:
    spoken = [touch for touch in touches if touch.spoken]
    last = {touch.sale.record.id: touch for touch in spoken}
    chosen: dict[str, tuple[Touch, Said | None]] = {}
    for touch in last.values():
        about = said.get(touch.sale.record.id) or _lost_over(touch.sale)
        if touch.sale.record.id in said or rng.random() < _recorded(touch.sale):
            chosen[touch.record.id] = touch, about
    others = [touch for touch in spoken if touch.record.id not in chosen]
    for touch in rng.sample(others, max(RECORDED - len(chosen), 0)):
        chosen[touch.record.id] = touch, None
    told = [chosen[touch.record.id] for touch in spoken if touch.record.id in chosen]
    made: list[Conversation] = []
    signals: list[PlantedSignal] = []
    for number, (touch, about) in enumerate(told, 1):
        record, signal = _conversation(rng, f"v-{number:03}", touch, about, stamp)
        made.append(record)
        signals += [signal] if signal and touch.sale.life.outcome == "open" else []
    return made, signals


def _title(subject: str, account: str) -> str:
    return subject if account in subject else f"{subject} – {account}"


def _recorded(sale: Sale) -> float:
    return {"open": OPEN_RECORDED, "lost": LOST_RECORDED, "won": 0.0}[sale.life.outcome]


def _lost_over(sale: Sale) -> Kind | None:
    reason = sale.record.lost_reason
    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    return kinds.get(LOST_REASONS[reason] or "") if reason else None


def _conversation(
    rng: Random, id_: str, touch: Touch, about: Said | None, stamp: datetime
) -> tuple[Conversation, PlantedSignal | None]:
    sale, activity = touch.sale, touch.record
    day = touch.at.date()
    seller = sale.seller_on(day)
    said = talk(rng, sale, phase(sale, day), day, about)
    record = Conversation(
        id=id_,
        type="meeting" if activity.type == "meeting" else "call",
        title=_title(activity.subject or "", sale.buyer.record.name),
        at=touch.at,
        participants=(seller.name, *(person.name for person in sale.people)),
        transcript=said.text,
        owner=seller.id,
        account=sale.buyer.record.id,
        deals=(sale.record.id,),
        url=f"https://calls.{VENDOR.lower()}.example/{id_}",
        modified_at=stamp,
    )
    if said.telling is None or about is None or about == "harmless":
        return record, None
    return record, PlantedSignal(sale.record.id, id_, about, said.telling)
