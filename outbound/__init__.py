"""The only way out to addresses that somebody else names."""

from outbound.addresses import Endpoint, Guard
from outbound.connections import Outbound
from outbound.hosts import HostPattern, may_go_to
from outbound.posting import Posted, Poster
from outbound.retries import retry_after
from outbound.urls import parse_url

__all__ = [
    "Endpoint",
    "Guard",
    "HostPattern",
    "Outbound",
    "Posted",
    "Poster",
    "may_go_to",
    "parse_url",
    "retry_after",
]
