"""HubSpot's CRM as a source: whole by its lists, or what has changed by its search."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from core.connector import HubSpotConfig, Page
from core.crm import Account, Activity, Contact, Deal, Kind, Record
from core.errors import (
    SecretNotAllowed,
    SourceForbidden,
    SourceRefused,
    SourceRejected,
    SourceUnreadable,
)
from core.model import Frozen
from integrations import hubspot_records as records
from integrations.hubspot_api import HubSpotAPI, Json, next_page, results
from integrations.hubspot_fields import EPOCH, Fields, Notes
from integrations.hubspot_records import ACTIVITIES, HISTORY, Linked, Portal
from outbound import may_go_to, parse_url

if TYPE_CHECKING:
    from integrations import Secret
    from outbound import Outbound

LIST_LIMIT = 100
HISTORY_LIMIT = 50  # objects in one answer, where their past is asked for
SEARCH_LIMIT = 200
INPUTS_LIMIT = 1000
MERGED = "hs_merged_object_ids"
MILLISECOND = timedelta(milliseconds=1)

OBJECTS: dict[Kind, tuple[str, ...]] = {
    "accounts": ("companies",),
    "contacts": ("contacts",),
    "deals": ("deals",),
    "activities": tuple(ACTIVITIES),
}
LINKS = {
    "deals": ("companies", "contacts"),
    **dict.fromkeys(ACTIVITIES, ("deals", "contacts", "companies")),
}
DELETED: dict[Kind, type[Account | Contact | Deal | Activity]] = {
    "accounts": Account,
    "contacts": Contact,
    "deals": Deal,
    "activities": Activity,
}


class Place(Frozen):
    """Where in a pass a page begins. `bound` is in milliseconds, as HubSpot counts."""

    part: str
    phase: Literal["list", "search", "ties", "archived"]
    bound: int = 0
    after: str | None = None


class HubSpot:
    """A search is never paged: records that change meanwhile move to its end and would pull
    others past the reader. Each page asks anew for what changed since the last time seen, which
    also keeps below the 10,000 results that a search gives at most.
    """

    def __init__(self, outbound: Outbound, config: HubSpotConfig, secret: Secret) -> None:
        try:
            target = parse_url(config.base_url)
        except ValueError as error:
            raise SourceRefused(f"base_url: {error}") from None
        if not may_go_to(target, secret.allowed_hosts):
            raise SecretNotAllowed(
                f"the secret {config.secret} is not meant for {config.base_url}:"
                " name its host in the secret's allowed_hosts"
            )
        self._api = HubSpotAPI(outbound, config.base_url, secret.value)
        self._config = config
        self._portal: Portal | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return ("owners", "pipelines", *OBJECTS)

    def lists_all(self, kind: Kind, since: datetime | None) -> bool:
        return since is None or kind not in OBJECTS

    async def page(self, kind: Kind, since: datetime | None, cursor: str | None) -> Page:
        portal = await self._account()
        match kind:
            case "owners":
                return await self._owners(cursor)
            case "pipelines":
                return await self._pipelines()
            case _ if kind in OBJECTS:
                bound = None if since is None else (since - EPOCH) // MILLISECOND
                place = _parsed(cursor) if cursor else _begin(OBJECTS[kind][0], bound)
                return await self._objects(kind, bound, place, portal)
            case _:
                raise SourceRejected(f"HubSpot has no {kind}")

    async def _owners(self, cursor: str | None) -> Page:
        place = _parsed(cursor) if cursor else Place(part="owners", phase="list")
        archived = place.phase == "archived"
        parameters = {"limit": str(LIST_LIMIT), "archived": str(archived).lower()}
        answer = await self._api.get("/crm/v3/owners", **parameters, **_after(place))
        notes = Notes()
        found = _identified(results(answer, "/crm/v3/owners"), "owners", notes)
        told = [records.owner(each, notes) for each in found]
        following = _following(place, answer)
        if following is None and not archived:
            following = Place(part="owners", phase="archived")
        return _page([each for each in told if each], following, notes)

    async def _pipelines(self) -> Page:
        path, notes = "/crm/v3/pipelines/deals", Notes()
        found = _identified(results(await self._api.get(path), path), "pipelines", notes)
        told = [records.pipeline(each, notes) for each in found]
        return _page([each for each in told if each], None, notes)

    async def _objects(self, kind: Kind, bound: int | None, place: Place, portal: Portal) -> Page:
        notes = Notes()
        match place.phase:
            case "archived":
                told, following = await self._archived(kind, bound or 0, place)
            case "list":
                found, following = await self._listed(place)
                told = await self._records(kind, place.part, found, portal, notes)
            case _:
                found, following = await self._searched(place)
                if place.part == "deals":
                    found = await self._with_history(found)
                told = await self._records(kind, place.part, found, portal, notes)
        if following is None:
            following = self._next_part(kind, bound, place.part)
        return _page(told, following, notes)

    def _next_part(self, kind: Kind, bound: int | None, part: str) -> Place | None:
        parts = OBJECTS[kind]
        left = parts[parts.index(part) + 1 :]
        return _begin(left[0], bound) if left else None

    async def _listed(self, place: Place) -> tuple[list[Json], Place | None]:
        parameters = {"limit": str(LIST_LIMIT), "properties": ",".join(self._properties(place))}
        if place.part == "deals":
            parameters["limit"] = str(HISTORY_LIMIT)
            parameters["propertiesWithHistory"] = ",".join(HISTORY)
        path = f"/crm/v3/objects/{place.part}"
        answer = await self._api.get(path, **parameters, **_after(place))
        return results(answer, path), _following(place, answer)

    async def _archived(
        self, kind: Kind, bound: int, place: Place
    ) -> tuple[list[Record], Place | None]:
        """The lists of what is deleted are whole ones too, and know no order in time."""
        path = f"/crm/v3/objects/{place.part}"
        parameters = {"limit": str(LIST_LIMIT), "archived": "true", "properties": MERGED}
        answer = await self._api.get(path, **parameters, **_after(place))
        since = EPOCH + bound * MILLISECOND
        gone: list[Record] = []
        for found in _identified(results(answer, path), place.part, Notes()):
            fields = Fields(place.part, found, Notes())
            at = fields.told("archivedAt") or fields.told("updatedAt")
            if at is not None and at >= since:
                ids = (_key(place.part, fields.id), *_merged(fields))
                gone += (_deleted(kind, id, at) for id in ids)
        return gone, _following(place, answer)

    async def _searched(self, place: Place) -> tuple[list[Json], Place]:
        modified, bound = records.modified_property(place.part), str(place.bound)
        filters = [{"propertyName": modified, "operator": "GTE", "value": bound}]
        order = modified
        if place.phase == "ties":
            order = "hs_object_id"
            filters += [
                {"propertyName": modified, "operator": "LTE", "value": bound},
                {"propertyName": order, "operator": "GT", "value": place.after},
            ]
        path = f"/crm/v3/objects/{place.part}/search"
        answer = await self._api.post(
            path,
            {
                "filterGroups": [{"filters": filters}],
                "sorts": [{"propertyName": order, "direction": "ASCENDING"}],
                "properties": self._properties(place),
                "limit": SEARCH_LIMIT,
            },
        )
        found = results(answer, path)
        last = found[-1] if found and next_page(answer) is not None else None
        return found, _after_search(place, last)

    async def _with_history(self, found: list[Json]) -> list[Json]:
        """Deals as they are now: a search tells nothing of their past."""
        path, told = "/crm/v3/objects/deals/batch/read", list[Json]()
        properties = {
            "properties": self._properties(Place(part="deals", phase="list")),
            "propertiesWithHistory": list(HISTORY),
        }
        ids = [{"id": str(each["id"])} for each in _identified(found, "deals", Notes())]
        for start in range(0, len(ids), HISTORY_LIMIT):
            inputs = ids[start : start + HISTORY_LIMIT]
            told += await self._api.batch(path, {"inputs": inputs, **properties})
        return told

    async def _records(
        self, kind: Kind, part: str, found: list[Json], portal: Portal, notes: Notes
    ) -> list[Record]:
        told: list[Record] = []
        found = _identified(found, part, notes)
        linked = await self._linked(part, [str(each["id"]) for each in found])
        for each in found:
            fields = Fields(part, each, notes)
            modified = records.modified_at(fields, part)
            if modified is None:
                continue
            try:
                told.append(self._record(part, fields, modified, portal, linked))
            except ValidationError as error:
                wrong = ", ".join(str(fault["loc"][0]) for fault in error.errors() if fault["loc"])
                fields.lose(f"it cannot be kept: {wrong}")
            told += (_deleted(kind, merged, modified) for merged in _merged(fields))
        return told

    def _record(
        self, part: str, fields: Fields, modified: datetime, portal: Portal, linked: Linked
    ) -> Record:
        match part:
            case "companies":
                return records.company(fields, modified, portal, self._config.segment)
            case "contacts":
                return records.contact(fields, modified, portal)
            case "deals":
                return records.deal(fields, modified, portal, linked)
            case _:
                return records.activity(part, fields, modified, linked)

    async def _linked(self, part: str, ids: list[str]) -> Linked:
        """Read after the records: what they are linked to is then never older than they are."""
        linked: dict[str, dict[str, list[Json]]] = {}
        for other in LINKS.get(part, ()):
            path = f"/crm/v4/associations/{part}/{other}/batch/read"
            of_each = linked[other] = {}
            inputs = [{"id": id} for id in ids]
            while inputs:
                asked, inputs = inputs[:INPUTS_LIMIT], inputs[INPUTS_LIMIT:]
                for result in await self._api.batch(path, {"inputs": asked}):
                    id, to = _link(result, path)
                    of_each.setdefault(id, []).extend(to)
                    if (after := next_page(result)) is not None:
                        inputs.append({"id": id, "after": after})
        return Linked(linked)

    async def _account(self) -> Portal:
        """Asked before anything is read, which might belong to somebody else."""
        if self._portal is None:
            path = "/account-info/v3/details"
            try:
                told = await self._api.get(path)
                if "portalId" not in told:
                    raise SourceUnreadable(f"HubSpot answered {path} without the account's id")
            except SourceForbidden:  # then days are those of UTC
                told = Json()
            self._portal = _portal(told, self._config.portal)
            self._api.time_zone = self._portal.zone
        return self._portal

    def _properties(self, place: Place) -> list[str]:
        segment = self._config.segment if place.part == "companies" else None
        return [*records.properties_of(place.part), *([segment] if segment else [])]


def _begin(part: str, bound: int | None) -> Place:
    if bound is None:
        return Place(part=part, phase="list")
    return Place(part=part, phase="search", bound=max(bound, 0))


def _parsed(cursor: str) -> Place:
    try:
        return Place.model_validate_json(cursor)
    except ValidationError:
        raise SourceRejected(f"no page of HubSpot begins at {cursor[:100]!r}") from None


def _after(place: Place) -> dict[str, str]:
    return {} if place.after is None else {"after": place.after}


def _following(place: Place, answer: Json) -> Place | None:
    after = next_page(answer)
    if after is not None and after == place.after:
        raise SourceUnreadable(f"HubSpot's list of {place.part} does not go on")
    return None if after is None else place.model_copy(update={"after": after})


def _after_search(place: Place, last: Json | None) -> Place:
    """`last` is the record after which there are more; None where there are none."""
    if place.phase == "ties":
        if last is None:
            return Place(part=place.part, phase="search", bound=place.bound + 1)
        if not str(last.get("id")).isdecimal() or int(last["id"]) <= int(place.after or 0):
            raise _out_of_order(place)
        return place.model_copy(update={"after": str(last["id"])})
    if last is None:
        return Place(part=place.part, phase="archived")
    modified = records.modified_at(Fields(place.part, {"id": "", **last}, Notes()), place.part)
    bound = -1 if modified is None else (modified - EPOCH) // MILLISECOND
    if bound < place.bound:
        raise _out_of_order(place)
    if bound > place.bound:
        return Place(part=place.part, phase="search", bound=bound)
    # More of one moment than a page holds, such as after an import: on by id, then.
    return Place(part=place.part, phase="ties", bound=bound, after="0")


def _out_of_order(place: Place) -> SourceUnreadable:
    return SourceUnreadable(f"HubSpot's search of {place.part} is not in the order asked for")


def _identified(found: list[Json], part: str, notes: Notes) -> list[Json]:
    known = [each for each in found if isinstance(each.get("id"), str | int) and each["id"] != ""]
    if len(known) < len(found):
        notes.faults.append(f"{part}: {len(found) - len(known)} without an id")
    return known


def _link(result: Json, path: str) -> tuple[str, list[Json]]:
    match result:
        case {"from": {"id": str() | int() as id}, "to": [*to]} if all(
            isinstance(each, dict) for each in to
        ):
            return str(id), list(to)
        case _:
            raise SourceUnreadable(f"HubSpot answered {path} with what is no association")


def _merged(fields: Fields) -> list[str]:
    """Records that were merged into this one are nowhere listed any more."""
    ids = fields.text(MERGED, longest=100_000) or ""
    return [id for id in re.findall(r"\d+", ids) if id != fields.id]


def _deleted(kind: Kind, id: str, at: datetime) -> Record:
    return DELETED[kind](id=id, modified_at=at, deleted=True)


def _key(part: str, id: str) -> str:
    return f"{ACTIVITIES[part]}-{id}" if part in ACTIVITIES else id


def _page(told: list[Record] | list[records.Owner], place: Place | None, notes: Notes) -> Page:
    following = None if place is None else place.model_dump_json(exclude_defaults=True)
    return Page(
        records=tuple(told),
        next=following,
        faults=tuple(notes.faults),
        remarks=tuple(notes.remarks),
    )


def _portal(told: Json, expected: str | None) -> Portal:
    id = str(told["portalId"]) if told.get("portalId") else expected
    if expected is not None and id != expected:
        raise SourceRefused(f"the token belongs to HubSpot account {id}, not to {expected}")
    domain, currency = str(told.get("uiDomain")), told.get("companyCurrency")
    try:
        zone = ZoneInfo(str(told.get("timeZone") or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return Portal(
        id=id,
        domain=domain if re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", domain) else Portal.domain,
        zone=zone,
        currency=currency[:10] if isinstance(currency, str) else None,
    )
