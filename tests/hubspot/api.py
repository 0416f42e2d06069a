"""The endpoints of HubSpot that a reader needs, over a CRM that others change meanwhile."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.hubspot import rules
from tests.hubspot.crm import CRM, PROPERTIES, Properties, Thing, iso, modified_property
from tests.hubspot.rules import Refused, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.receiver import Received

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": operator.eq,
    "NEQ": operator.ne,
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
}
Answer = tuple[int, dict[str, Any]]


@dataclass
class API:
    crm: CRM
    token: str
    index_delay: timedelta = timedelta(0)
    links_per_page: int = 500
    ceiling: int = 10_000  # results of one search, over all its pages
    withheld: set[str] = field(default_factory=set[str])  # scopes that the token lacks

    def answer(self, received: Received) -> Answer:
        path = urlsplit(received.target).path
        try:
            rules.check_token(received, self.token)
            for method, pattern, ask in self._routes():
                if method == received.method and (match := re.fullmatch(pattern, path)):
                    return ask(received, *match.groups())
            raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")
        except Refused as refused:
            return refused.status, refused.body

    def _routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        return [
            ("GET", "/account-info/v3/details", self._account),
            ("GET", "/crm/v3/owners", self._owners),
            ("GET", "/crm/v3/pipelines/deals", self._pipelines),
            ("GET", r"/crm/v3/objects/(\w+)", self._list),
            ("POST", r"/crm/v3/objects/(\w+)/search", self._search),
            ("POST", r"/crm/v3/objects/(\w+)/batch/read", self._batch),
            ("POST", r"/crm/v4/associations/(\w+)/(\w+)/batch/read", self._associations),
        ]

    def _account(self, received: Received) -> Answer:
        rules.parameters(received)
        return 200, self.crm.portal

    def _owners(self, received: Received) -> Answer:
        given = rules.parameters(received, "limit", "after", "archived", "email")
        rules.check_scope("owners", self.withheld)
        archived = rules.flag(given.get("archived"))
        owners = [each for each in self.crm.owners.values() if each["archived"] is archived]
        return 200, _page(owners, given, rules.limit(given.get("limit"), 500, 100))

    def _pipelines(self, received: Received) -> Answer:
        rules.parameters(received)
        rules.check_scope("deals", self.withheld)
        return 200, {"results": list(self.crm.pipelines.values())}

    def _list(self, received: Received, name: str) -> Answer:
        kind = rules.kind(name)
        known = ("limit", "after", "archived", "properties", "propertiesWithHistory")
        given = rules.parameters(received, *known, "associations")
        rules.check_scope(kind, self.withheld)
        past = _names(given.get("propertiesWithHistory"))
        most = rules.limit(given.get("limit"), 50 if past else 100)
        archived = rules.flag(given.get("archived"))
        found = [each for each in self.crm.things[kind].values() if not each.merged]
        found = [each for each in found if (each.archived_at is not None) is archived]
        page = _page(sorted(found, key=lambda each: int(each.id)), given, most)
        names = _names(given.get("properties"))
        page["results"] = [
            self._told(each, each.properties, names, past) for each in page["results"]
        ]
        return 200, page

    def _search(self, received: Received, name: str) -> Answer:
        kind = rules.kind(name)
        given = rules.search(received, kind, self.ceiling)
        rules.check_scope(kind, self.withheld)
        seen = self.crm.now() - self.index_delay
        indexed = [(each, each.as_of(seen)) for each in self.crm.things[kind].values()]
        found = [(each, known) for each, known in indexed if known and not known.archived]
        groups = given.get("filterGroups", [])
        if groups:
            found = [(each, known) for each, known in found if _fits(known.properties, groups)]
        sort = given.get("sorts", [{"propertyName": "createdate", "direction": "ASCENDING"}])[0]
        found.sort(
            key=lambda pair: _comparable(pair[1].properties.get(sort["propertyName"])),
            reverse=sort["direction"] == "DESCENDING",
        )
        start, count = int(given.get("after", 0)), given.get("limit", 10)
        names = given.get("properties", [])
        answer: dict[str, Any] = {
            "total": len(found),
            "results": [
                self._told(each, known.properties, names, [])
                for each, known in found[start : start + count]
            ],
        }
        if start + count < len(found):
            answer["paging"] = {"next": {"after": str(start + count)}}
        return 200, answer

    def _batch(self, received: Received, name: str) -> Answer:
        kind = rules.kind(name)
        given = rules.body(received, "inputs", "properties", "propertiesWithHistory", "idProperty")
        rules.check_scope(kind, self.withheld)
        past = given.get("propertiesWithHistory", [])
        ids = [each["id"] for each in rules.inputs(given, 50 if past else 100)]
        things = self.crm.things[kind]
        found = [things[id] for id in ids if id in things and things[id].lives]
        names = given.get("properties", [])
        missing = [id for id in ids if id not in {each.id for each in found}]
        return _batched(
            [self._told(each, each.properties, names, past) for each in found],
            [_missing("OBJECT_NOT_FOUND", missing)] if missing else [],
        )

    def _associations(self, received: Received, name: str, other: str) -> Answer:
        kind, other = rules.kind(name), rules.kind(other)
        asked = rules.inputs(rules.body(received, "inputs"), 1000, "after")
        rules.check_scope(kind, self.withheld)
        rules.check_scope(other, self.withheld)
        results: list[dict[str, Any]] = []
        missing: list[str] = []
        for each in asked:
            linked = sorted(self.crm.linked(kind, each["id"], other).items())
            if not linked:
                missing.append(each["id"])
                continue
            to = [{"toObjectId": int(id), "associationTypes": _types(of)} for id, of in linked]
            page = _page(to, each, self.links_per_page)
            results.append({"from": {"id": each["id"]}, "to": page.pop("results"), **page})
        error = _missing("crm.associations.NO_ASSOCIATIONS_FOUND", missing)
        return _batched(results, [error] if missing else [])

    def _told(
        self, thing: Thing, properties: Properties, names: list[str], past: list[str]
    ) -> dict[str, Any]:
        named = {name: properties.get(name) for name in names if name in PROPERTIES[thing.kind]}
        always = ("hs_object_id", "createdate", modified_property(thing.kind))
        told: dict[str, Any] = {
            "id": thing.id,
            "properties": {**named, **{name: properties.get(name) for name in always}},
            "createdAt": iso(thing.created),
            "updatedAt": properties[modified_property(thing.kind)],
            "archived": thing.archived_at is not None,
        }
        if thing.archived_at is not None:
            told["archivedAt"] = iso(thing.archived_at)
        if past:
            told["propertiesWithHistory"] = {
                name: list(thing.history[name]) for name in past if name in PROPERTIES[thing.kind]
            }
        return told


def _names(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _page(found: list[Any], given: dict[str, str], most: int) -> dict[str, Any]:
    """A cursor is the id that was last read, so that what goes away meanwhile shifts nothing."""
    after = given.get("after", "0")
    if not after.isdigit():
        raise invalid("after is no cursor of this list")
    left = [each for each in found if _id(each) > int(after)]
    page: dict[str, Any] = {"results": left[:most]}
    if len(left) > most:
        page["paging"] = {"next": {"after": str(_id(left[most - 1]))}}
    return page


def _id(each: Any) -> int:
    if isinstance(each, Thing):
        return int(each.id)
    return int(each["id"] if "id" in each else each["toObjectId"])


def _types(labels: set[Any]) -> list[dict[str, Any]]:
    named = sorted(labels, key=lambda label: label[1])
    return [{"category": of, "typeId": id, "label": label} for of, id, label in named]


def _fits(properties: Properties, groups: list[dict[str, Any]]) -> bool:
    return any(all(_passes(properties, each) for each in group["filters"]) for group in groups)


def _passes(properties: Properties, given: dict[str, str]) -> bool:
    value = properties.get(given["propertyName"])
    return value is not None and COMPARE[given["operator"]](
        _comparable(value), _comparable(given["value"])
    )


def _comparable(value: str | None) -> float:
    """Times compare in milliseconds, however they are written."""
    if value is None:
        return float("-inf")
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value)
    read = datetime.fromisoformat(value).astimezone(UTC)
    return (read - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _batched(results: list[dict[str, Any]], errors: list[dict[str, Any]]) -> Answer:
    answer: dict[str, Any] = {"status": "COMPLETE", "results": results}
    if errors:
        answer |= {"numErrors": len(errors), "errors": errors}
    return (207 if errors else 200), answer


def _missing(category: str, ids: list[str]) -> dict[str, Any]:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": category,
        "message": "some ids lead to nothing",
        "context": {"ids": ids},
    }
