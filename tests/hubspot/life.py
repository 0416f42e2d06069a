"""A sales team at work: whatever can happen in an account of HubSpot, at random."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.hubspot.crm import CRM, ENGAGEMENTS, PRIMARY, Thing, iso

if TYPE_CHECKING:
    from random import Random

STAGES = ("new", "proof", "offer", "won", "lost")
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
TITLES = {
    "calls": "hs_call_title",
    "emails": "hs_email_subject",
    "meetings": "hs_meeting_title",
    "notes": "hs_note_body",
    "tasks": "hs_task_subject",
}
ROLES = (("USER_DEFINED", 41, "Decision maker"), ("USER_DEFINED", 43, "Champion"))


class Life:
    def __init__(self, crm: CRM, random: Random) -> None:
        self.crm = crm
        self.random = random
        self._words = 0

    def begin(self, companies: int = 30, contacts: int = 60, deals: int = 50) -> None:
        """Two years ago, then one thing after the other."""
        for id in range(1, 7):
            self._owner(str(id))
        for id in ("default", "renewals"):
            self._pipeline(id)
        at = BEGAN
        for kind, count in (("companies", companies), ("contacts", contacts), ("deals", deals)):
            for _ in range(count):
                at += timedelta(minutes=self.random.randrange(600))
                self.crm.stand_still(at)
                self.create(kind)
        for _ in range(deals * 3):
            at += timedelta(minutes=self.random.randrange(100))
            self.crm.stand_still(at)
            self.create(self.random.choice(ENGAGEMENTS))
        self.crm.stand_still(None)

    def happens(self, times: int = 1) -> None:
        for _ in range(times):
            self.random.choices(
                (self.edit, self.make, self.delete, self.relate, self.merge, self.reorganize),
                (40, 20, 8, 25, 3, 4),
            )[0]()

    def edit(self) -> None:
        if thing := self._any(self.random.choice(("companies", "contacts", "deals", *ENGAGEMENTS))):
            self.crm.update(thing, **self._properties(thing.kind))

    def make(self) -> None:
        self.create(self.random.choice(("companies", "contacts", "deals", *ENGAGEMENTS)))

    def delete(self) -> None:
        kind = self.random.choice(("companies", "contacts", "deals", *ENGAGEMENTS))
        if len(self.crm.of(kind)) > 5:
            self.crm.archive(self._any(kind))

    def relate(self) -> None:
        """Of activities only together with an edit: alone, HubSpot does not tell of it."""
        kind = self.random.choice(("deals", "deals", *ENGAGEMENTS))
        if not (thing := self._any(kind)):
            return
        self._relate(thing)
        if kind != "deals":
            self.crm.update(thing, **self._properties(kind))

    def merge(self) -> None:
        kind = self.random.choice(("companies", "contacts", "deals"))
        if len(self.crm.of(kind)) > 5:
            kept, gone = self.random.sample(self.crm.of(kind), 2)
            self.crm.merge(kept, gone)

    def reorganize(self) -> None:
        """Owners come and go, stages are renamed, added and taken away."""
        if self.random.random() < 0.5:
            self._owner(str(self.random.randrange(1, 9)))
        else:
            self._pipeline(self.random.choice(list(self.crm.pipelines)))

    def create(self, kind: str) -> Thing:
        thing = self.crm.create(kind, **self._properties(kind))
        if kind in ENGAGEMENTS or kind == "deals":
            self._relate(thing)
            # What it is linked to belongs to how it was made.
            self.crm.update(thing, **self._properties(kind))
        return thing

    def _relate(self, thing: Thing) -> None:
        people = self.crm.linked(thing.kind, thing.id, "contacts")
        if people and self.random.random() < 0.4:
            id = self.random.choice(sorted(people))
            self.crm.unlink(thing, self.crm.things["contacts"][id])
        elif contact := self._any("contacts"):
            roles = self.random.sample(ROLES, self.random.randrange(3))
            self.crm.link(thing, contact, ("HUBSPOT_DEFINED", 3, None), *roles)
        for id in list(self.crm.linked(thing.kind, thing.id, "companies")):
            self.crm.unlink(thing, self.crm.things["companies"][id])
        if company := self._any("companies"):
            self.crm.link(thing, company, PRIMARY)
        if thing.kind != "deals" and (deal := self._any("deals")):
            self.crm.link(thing, deal)

    def _any(self, kind: str) -> Any:
        living = self.crm.of(kind)
        return self.random.choice(living) if living else None

    def _word(self) -> str:
        self._words += 1
        return f"said {self._words}"

    def _properties(self, kind: str) -> dict[str, Any]:
        owner, random, now = self.random.randrange(1, 9), self.random, self.crm.now()
        match kind:
            case "companies":
                name = self._word()
                return {"name": name, "domain": f"{name[5:]}.example", "hubspot_owner_id": owner}
            case "contacts":
                company = self._any("companies")
                return {
                    "firstname": "Ines",
                    "lastname": self._word(),
                    "associatedcompanyid": company and company.id,
                }
            case "deals":
                return {
                    "dealname": self._word(),
                    "pipeline": random.choice(list(self.crm.pipelines)),
                    "dealstage": random.choice(STAGES),
                    "amount": random.choice((None, random.randrange(100_000))),
                    "closedate": iso(now + timedelta(days=random.randrange(-50, 50))),
                    "hubspot_owner_id": owner,
                    "hs_manual_forecast_category": random.choice(("COMMIT", "PIPELINE", None)),
                }
            case _:
                return {
                    TITLES[kind]: self._word(),
                    "hs_timestamp": iso(now),
                    "hubspot_owner_id": owner,
                }

    def _owner(self, id: str) -> None:
        self.crm.owners[id] = {
            "id": id,
            "email": f"{id}@example.com",
            "firstName": self._word(),
            "lastName": "",
            "archived": self.random.random() < 0.2,
            "updatedAt": iso(self.crm.now()),
        }

    def _pipeline(self, id: str) -> None:
        """Its own time stays: a change of its stages is none of the pipeline."""
        kept = [stage for stage in STAGES if stage == "new" or self.random.random() < 0.9]
        updated = self.crm.pipelines.get(id, {"updatedAt": iso(BEGAN)})["updatedAt"]
        self.crm.pipelines[id] = {
            "id": id,
            "label": id.title(),
            "displayOrder": 0,
            "archived": False,
            "updatedAt": updated,
            "stages": [
                {
                    "id": stage,
                    "label": f"{stage}, {self._word()}",
                    "displayOrder": number,
                    "archived": False,
                    "metadata": {
                        "isClosed": str(stage in ("won", "lost")).lower(),
                        "probability": {"won": "1.0", "lost": "0.0"}.get(stage, "0.4"),
                    },
                }
                for number, stage in enumerate(kept)
            ],
        }
