"""What the real API refuses, by its documentation, and in its words where they are known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.hubspot.crm import ENGAGEMENTS, KINDS, PROPERTIES

if TYPE_CHECKING:
    from tests.receiver import Received

BODY = 3000  # characters of a search
OPERATORS = frozenset({"EQ", "NEQ", "LT", "LTE", "GT", "GTE"})
DIRECTIONS = ("ASCENDING", "DESCENDING")
SCOPES = {
    "companies": "crm.objects.companies.read",
    "contacts": "crm.objects.contacts.read",
    "deals": "crm.objects.deals.read",
    "owners": "crm.objects.owners.read",
    "emails": "sales-email-read",
    **{kind: "crm.objects.contacts.read" for kind in ENGAGEMENTS if kind != "emails"},
}


class Refused(Exception):
    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "status": "error",
            "message": message,
            "correlationId": "00000000-0000-4000-8000-000000000000",
            "category": category,
            **more,
        }


def invalid(message: str) -> Refused:
    return Refused(400, "VALIDATION_ERROR", message)


def check_token(received: Received, token: str) -> None:
    given = received.headers.get("authorization", "")
    if not given.startswith("Bearer "):
        message = "Authentication credentials not found."
        raise Refused(401, "INVALID_AUTHENTICATION", message)
    if given != f"Bearer {token}":
        message = "The OAuth token used to make this call is invalid or has expired."
        raise Refused(401, "EXPIRED_AUTHENTICATION", message)


def check_scope(kind: str, withheld: set[str]) -> None:
    if (scope := SCOPES[kind]) in withheld:
        error = {
            "message": "One or more of the following scopes are required.",
            "context": {"requiredGranularScopes": [scope]},
        }
        message = "This app hasn't been granted all required scopes to make this call."
        raise Refused(403, "MISSING_SCOPES", message, errors=[error])


def parameters(received: Received, *known: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(received.target).query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) < len(pairs):
        raise invalid("a parameter is given twice")
    if unknown := given.keys() - set(known):
        raise invalid(f"unknown parameters: {sorted(unknown)}")
    return given


def body(received: Received, *known: str) -> dict[str, Any]:
    if parameters(received):
        raise invalid("this endpoint takes no parameters")
    if received.headers.get("content-type", "").split(";")[0] != "application/json":
        raise Refused(415, "VALIDATION_ERROR", "Unsupported Media Type")
    try:
        given = json.loads(received.body)
    except ValueError:
        raise invalid("Invalid input JSON") from None
    if not isinstance(given, dict) or given.keys() - set(known):
        raise invalid("Invalid input JSON: unrecognized fields")
    return given


def kind(name: str) -> str:
    if name not in KINDS:
        raise invalid(f"Unable to infer object type from: {name}")
    return name


def limit(text: str | None, most: int, default: int = 10) -> int:
    if text is None:
        return default
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise invalid(f"limit must be from 1 to {most}")
    return int(text)


def flag(text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise invalid("archived must be true or false")
    return text == "true"


def inputs(given: dict[str, Any], most: int, *known: str) -> list[dict[str, str]]:
    found = given.get("inputs")
    if not isinstance(found, list) or not found:
        raise invalid("inputs must not be empty")
    if len(found) > most:
        raise invalid(f"no more than {most} inputs in one request")
    for each in found:
        if not isinstance(each, dict) or not isinstance(each.get("id"), str):
            raise invalid("an input has an id, which is a string")
        if each.keys() - {"id", *known}:
            raise invalid("Invalid input JSON: unrecognized fields")
    ids = [each["id"] for each in found]
    if len(set(ids)) < len(ids):
        raise invalid("duplicate IDs are not allowed")
    return found


def search(received: Received, of: str, ceiling: int) -> dict[str, Any]:
    if len(received.body) > BODY:
        raise invalid("the body of a search must not exceed 3000 characters")
    known = ("filterGroups", "sorts", "query", "properties", "limit", "after")
    given = body(received, *known)
    count, after = given.get("limit", 10), given.get("after", "0")
    if type(count) is not int or not 1 <= count <= 200:
        raise invalid("limit must be from 1 to 200")
    if not str(after).isdigit() or int(after) + count > ceiling:
        raise invalid(f"a search cannot page beyond {ceiling} results")
    filters = _filters(given.get("filterGroups", []))
    sorts = given.get("sorts", [])
    if len(sorts) > 1 or any(each.get("direction") not in DIRECTIONS for each in sorts):
        raise invalid("one sort is supported, ASCENDING or DESCENDING")
    for each in (*filters, *sorts):
        if each["propertyName"] not in PROPERTIES[of]:
            raise invalid(f"{of} have no property {each['propertyName']}")
    return given


def _filters(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    filters = [each for group in groups for each in group["filters"]]
    if len(groups) > 5 or len(filters) > 18 or any(len(each["filters"]) > 6 for each in groups):
        raise invalid("too many filters")
    for each in filters:
        if each.keys() != {"propertyName", "operator", "value"} or not isinstance(
            each["value"], str
        ):
            raise invalid(f"{each} is no filter")
        if each["operator"] not in OPERATORS:
            raise invalid(f"{each['operator']} is no operator")
    return filters
